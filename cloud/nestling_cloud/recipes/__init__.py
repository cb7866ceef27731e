"""Contains the training options of a task, as dataclasses that check their values when created.

From the rest of the cloud, this package may import only the base class of errors.
"""

__all__ = ["distillation", "nesting", "quantization", "recipe"]
