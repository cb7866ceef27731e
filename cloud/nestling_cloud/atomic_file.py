"""Files that a reader, or a power cut, finds whole or not at all; only their owner reads them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nestling_cloud.temporary import temporary_file

PRIVATE = 0o700
SHARED = 0o777  # less the umask


def write_whole(path: Path, data: bytes, *, folder_mode: int = PRIVATE) -> None:
    """Write a file in place of an earlier one.

    Args:
        path: the file.
        data: what it holds from now on.
        folder_mode: of its folder, where that has to be made.
    """
    with _part(path, data, folder_mode) as part:
        part.replace(path)
    sync_folder(path.parent)


def write_new(path: Path, data: bytes) -> bool:
    """Write a file unless there is one, even if several processes try at once.

    Returns:
        Whether it is ours.
    """
    with _part(path, data, PRIVATE) as part:
        try:
            path.hardlink_to(part)
        except FileExistsError:
            return False
    sync_folder(path.parent)
    return True


@contextmanager
def _part(path: Path, data: bytes, folder_mode: int) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=folder_mode)
    with temporary_file(".part-", path.parent) as (part, descriptor):
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
        yield part


def sync_folder(folder: Path) -> None:
    """Make names in a folder outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
