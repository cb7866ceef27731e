"""Flushes files and folders to the disk, so that they survive a power cut."""

import os
from pathlib import Path


def write_synced(descriptor: int, data: bytes) -> None:
    """Write all bytes to an open file, and flush the file to the disk.

    Args:
        descriptor: the descriptor of a file that is open for writing. It is not closed.
        data: the bytes to write.

    Raises:
        OSError: the disk is full or fails.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk, so that new and renamed files survive a power cut.

    Flushing a file alone does not flush its entry in the folder.

    Raises:
        OSError: the path is not a folder, or the disk fails.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
