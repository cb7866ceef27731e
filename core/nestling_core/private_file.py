"""Restricts SQLite files to their owner."""

import os
from pathlib import Path

_OWNER_ONLY = 0o600
# SQLite creates these with the same mode as the database.
_SIDE_FILES = ("-wal", "-shm")


def keep_private(path: Path) -> None:
    """Create a database file that only its owner can read, or restrict an existing one.

    An existing file is never opened. SQLite's locks belong to the process: closing any descriptor
    of a database drops the locks of every connection that the process has to it. The next program
    that closes the database would then assume that it is the last one and delete the write-ahead
    log with our commits.

    Raises:
        OSError: the file cannot be created, or its mode cannot be changed.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY))
    except FileExistsError:
        for each in (path, *(Path(f"{path}{suffix}") for suffix in _SIDE_FILES)):
            if each.exists() and each.stat().st_mode & 0o077:
                each.chmod(_OWNER_ONLY)
