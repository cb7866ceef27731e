"""Files and folders that survive a power cut."""

import os
from pathlib import Path


def sync(folder: Path) -> None:
    """Put a folder's list of files on the disk; `fsync` of a file alone does not do it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, text: str, *, mode: int = 0o666) -> None:
    """Put a file in the place of the one before; a kill leaves the old one or the new one.

    Args:
        path: the file; its folder exists.
        text: its new content.
        mode: permissions of the file, less the umask.

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
