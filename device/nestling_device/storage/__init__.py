"""The state folder: SQLite files that survive a power cut, a lock, and snapshots for readers."""
