"""Reads and writes the device's state folder.

The folder contains a lock, and SQLite files that survive a power cut. Other programs read the
folder through snapshots. This package may import none of the device's other packages.
"""

__all__ = ["atomic_file", "database", "lock", "snapshot", "state"]
