"""Contains the built-in teachers, the multiplexer and the plain rules as torch modules.

This package may import no other package of the cloud.
"""

__all__ = ["multiplexer", "onnx_teacher", "picture_teacher", "plain_confidence", "teacher"]
