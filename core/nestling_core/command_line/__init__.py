"""Holds the argument parser of all three commands, and argparse types for paths.

The package imports no other package of Nestling.
"""

__all__ = ["parser", "path_flags"]
