"""Writes files and flushes them to the disk.

If a kill or a power cut interrupts the replacement of a file, the file has either the old or the
new content.
"""

import os
from pathlib import Path

from nestling_core.file_sync import sync_folder, write_synced


def replace_file(path: Path, text: str, *, mode: int = 0o666) -> None:
    """Replace a file's content atomically.

    The new content is first written to a temporary file in the same folder, whose name has the
    suffix .part instead of the suffix of `path`.

    Args:
        path: the file, whose folder must exist.
        text: the new content.
        mode: the permissions of the new file, before the umask.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    part = path.with_suffix(".part")
    _write(part, text, os.O_TRUNC, mode)
    part.replace(path)
    sync_folder(path.parent)


def write_private(path: Path, text: str) -> None:
    """Write a new file that only its owner can read, and flush it to the disk.

    Args:
        path: the file, which must not exist.
        text: the content of the file.

    Raises:
        OSError: the file exists or cannot be written.
    """
    _write(path, text, os.O_EXCL, 0o600)


def _write(path: Path, text: str, flag: int, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flag, mode)
    try:
        write_synced(descriptor, text.encode())
    finally:
        os.close(descriptor)
