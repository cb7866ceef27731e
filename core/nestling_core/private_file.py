"""Restricts access to SQLite files to their owner."""

import os
from pathlib import Path

_OWNER_ONLY = 0o600
# SQLite creates these with the same mode as the database.
_SIDE_FILES = ("-wal", "-shm")


def keep_private(path: Path) -> None:
    """Make sure that only the owner can read and write a database file.

    A missing file is created. The mode of an existing file, and of the files that SQLite keeps
    beside it, is restricted.

    An existing file is never opened. SQLite's locks belong to the process, and closing any
    descriptor of a database drops all locks that the process holds on it. Another program that
    closes the database would then assume that it is the last one to use it, and would delete the
    write-ahead log, which holds commits of this process.

    Raises:
        OSError: the file cannot be created, or its mode cannot be changed.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY))
    except FileExistsError:
        for each in (path, *(Path(f"{path}{suffix}") for suffix in _SIDE_FILES)):
            if each.exists() and each.stat().st_mode & 0o077:
                each.chmod(_OWNER_ONLY)
