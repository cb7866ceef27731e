"""SQLite files that only their owner reads."""

import os
from pathlib import Path

_OWNER_ONLY = 0o600
# SQLite gives these the mode of the database when it makes them.
_SIDE_FILES = ("-wal", "-shm")


def keep_private(path: Path) -> None:
    """Make a database file that only its owner reads, or close an existing one to everybody else.

    An existing file is never opened. SQLite's locks belong to the process: closing any descriptor
    of a database drops the locks of every connection that the process has to it. The next program
    that closes the database then takes itself for the last one and removes the log of our commits.

    Raises:
        OSError: it cannot be made or changed.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY))
    except FileExistsError:
        for each in (path, *(Path(f"{path}{suffix}") for suffix in _SIDE_FILES)):
            if each.exists() and each.stat().st_mode & 0o077:
                each.chmod(_OWNER_ONLY)
