"""Argument parsing for all three commands: the parser, and types for paths."""
