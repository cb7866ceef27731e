"""Parses data from peers and files.

It also keeps the log short when many messages cannot be read. The package imports no other package
of Nestling.
"""

__all__ = ["text", "throttled_log", "untrusted"]
