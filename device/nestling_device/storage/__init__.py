"""Holds the code that reads and writes the device's state folder.

The folder has SQLite files that survive a power cut, and a lock. Other programs read it through
snapshots. This package may import none of the device's other packages.
"""

__all__ = ["atomic_file", "database", "lock", "snapshot", "state"]
