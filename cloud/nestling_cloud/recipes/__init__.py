"""Training options of a task: plain frozen dataclasses, checked when they are created."""

__all__ = ["distillation", "nesting", "quantization", "recipe"]
