"""Runs ONNX models: opens sessions and times networks.

`session` is the only module that imports onnxruntime.
"""

__all__ = ["session", "timing"]
