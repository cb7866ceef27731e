"""Holds the training options of a task, as dataclasses that check their values when created.

Apart from the base class of errors, this package may import nothing of the cloud.
"""

__all__ = ["distillation", "nesting", "quantization", "recipe"]
