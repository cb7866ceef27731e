"""Writes files and folders so that they survive a power cut."""

import os
from pathlib import Path


def sync(folder: Path) -> None:
    """Flush a folder's entries to the disk, which `fsync` of a file alone does not do."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, text: str, *, mode: int = 0o666) -> None:
    """Replace a file's content; a kill leaves either the old content or the new one.

    Args:
        path: the file; its folder must exist.
        text: the new content.
        mode: permissions of the new file, before the umask.

    Raises:
        OSError: the folder cannot be written.
    """
    part = path.with_suffix(".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync(path.parent)
