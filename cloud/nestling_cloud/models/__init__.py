"""Torch networks: the default teachers and the multiplexer."""

__all__ = ["multiplexer", "picture_teacher", "teacher"]
