"""Argument parsing for all three commands: the parser, and types for paths."""

__all__ = ["parser", "path_flags"]
