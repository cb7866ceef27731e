"""Writes files that a kill or a power cut leaves whole: with the old content or the new one."""

import os
from pathlib import Path

from nestling_core.file_sync import sync_folder, write_synced


def replace_file(path: Path, text: str, *, mode: int = 0o666) -> None:
    """Replace a file's content.

    Args:
        path: the file; its folder must exist.
        text: the new content.
        mode: permissions of the new file, before the umask.

    Raises:
        OSError: the folder cannot be written.
    """
    part = path.with_suffix(".part")
    _write(part, text, os.O_TRUNC, mode)
    part.replace(path)
    sync_folder(path.parent)


def write_private(path: Path, text: str) -> None:
    """Write a new file that only its owner can read, and flush it to the disk.

    Args:
        path: the file, which must not exist.
        text: its content.

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
