"""Locks a state folder, so that only one device at a time runs in it.

Two devices in one folder would use the same sequence numbers for different receipts.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nestling_device.storage.database import StorageError

# A program that reads the status holds the lock for an instant.
_ATTEMPTS = 3
_PAUSE_S = 0.02


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a state folder against other devices during the block.

    The folder is created if necessary. The lock ends with the process at the latest.

    Raises:
        StorageError: another device runs in the folder, or the folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as err:
        raise StorageError(
            f"cannot use {folder} as a state folder: {err}",
            advice="name a folder that can be written",
        ) from err
    try:
        if not any(_lock(descriptor) for _ in range(_ATTEMPTS)):
            raise StorageError(
                f"another device runs in {folder}: stop it, or give this one another state folder"
            )
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(_PAUSE_S)
        return False
    return True
