"""The state folder: SQLite files that survive a power cut, a lock, and snapshots for readers."""

__all__ = ["atomic_file", "database", "lock", "snapshot", "state"]
