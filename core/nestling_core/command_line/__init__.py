"""Contains the argument parser of Nestling's three commands, and argparse types for paths.

The package imports no other package of Nestling.
"""

__all__ = ["parser", "path_flags"]
