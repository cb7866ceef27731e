"""Database files that only their owner reads."""

import os
from pathlib import Path

_OWNER_ONLY = 0o600


def keep_private(path: Path, *beside: Path) -> bool:
    """Make a file that only its owner reads, or take one away from everybody else.

    A file that is there is never opened. SQLite's locks are the process's: closing any descriptor
    of a database drops those of every connection that the process has to it, and the next program
    that closes the database believes to be the last one and removes the log of our commits.

    Args:
        path: the file.
        beside: others of the same owner, which need not be there.

    Returns:
        Whether the file was made, or is empty.

    Raises:
        OSError: it cannot be made or changed.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY))
    except FileExistsError:
        for each in (path, *beside):
            if each.exists() and each.stat().st_mode & 0o077:
                each.chmod(_OWNER_ONLY)
    return path.stat().st_size == 0
