"""Parses and formats host names and addresses, and sets up the network use of Flower's programs.

The package imports no other package of Nestling.
"""

__all__ = ["address", "flower_environment", "hosts"]
