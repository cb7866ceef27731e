"""A claim on a state folder: two devices that share one would number receipts twice."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nestling_device.database import StorageError


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Make a folder and keep other devices out of it; a killed process lets go of it too.

    Raises:
        StorageError: another device runs in it, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as err:
        raise StorageError(
            f"cannot use {folder} as a state folder: {err}; name a folder that can be written"
        ) from err
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageError(
                f"another device runs in {folder}: end it, or give this one another state folder"
            ) from None
        yield
    finally:
        os.close(descriptor)
