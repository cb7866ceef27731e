"""Parses data from peers and files, and shortens messages.

The package also limits the log lines about unreadable messages and repeated warnings. It imports no
other package of Nestling.
"""

__all__ = ["headline", "text", "throttled_log", "untrusted_data"]
