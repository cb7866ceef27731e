"""Runs ONNX models, and times networks.

The package imports no other package of Nestling. In cloud, device and simulator, onnxruntime is
imported at run time only through the module `session`.
"""

__all__ = ["session", "timing"]
