"""Flushes files and folders to the disk, so that they survive a power cut."""

import os
from pathlib import Path


def write_synced(descriptor: int, data: bytes) -> None:
    """Write all of the data to an open file and flush it to the disk.

    Args:
        descriptor: file that is open for writing; stays open.
        data: what to write.

    Raises:
        OSError: the disk is full or fails.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk, which flushing a file alone does not do."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
