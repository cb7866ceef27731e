"""Contains the built-in teachers and the multiplexer as torch networks.

This package may import no other package of the cloud.
"""

__all__ = ["multiplexer", "picture_teacher", "teacher"]
