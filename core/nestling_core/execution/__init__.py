"""Runs ONNX models, and times networks.

The package imports no other package of Nestling. Its module `session` is the only module of
Nestling that imports onnxruntime at run time. Others import it for type checking alone.
"""

__all__ = ["session", "timing"]
