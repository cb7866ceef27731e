"""Loads, runs and checks a cloud model, which is the teacher as an ONNX file.

The packages that train, release and serve share this package. It may import none of them.
"""

__all__ = ["check", "model", "signature"]
