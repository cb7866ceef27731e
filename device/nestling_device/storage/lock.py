"""A claim on a state folder: two devices that share one would number receipts twice."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nestling_device.storage.database import StorageError

# Whoever asks for the status holds the lock for an instant.
_ATTEMPTS = 3
_PAUSE_S = 0.02


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make a folder and keep other devices out of it; a killed process lets go of it too.

    Raises:
        StorageError: another device runs in it, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as err:
        raise StorageError(
            f"cannot use {folder} as a state folder: {err}; name a folder that can be written"
        ) from err
    try:
        if not any(_lock(descriptor) for _ in range(_ATTEMPTS)):
            raise StorageError(
                f"another device runs in {folder}: end it, or give this one another state folder"
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
