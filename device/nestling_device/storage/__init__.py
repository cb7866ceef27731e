"""The state folder: SQLite files that survive a power cut, its lock, and a snapshot for readers."""
