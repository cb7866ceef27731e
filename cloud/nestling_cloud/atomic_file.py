"""Writes files atomically, so that a crash or a power cut leaves no incomplete file.

Only the owner can read the files (mode 0600).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nestling_cloud.temporary_files import temporary_file
from nestling_core.file_sync import sync_folder, write_synced

PRIVATE = 0o700
SHARED = 0o777  # minus the umask


def write_whole(path: Path, data: bytes, *, folder_mode: int = PRIVATE) -> None:
    """Write a file atomically, replacing an existing one.

    Args:
        path: the path of the file to write.
        data: the file's new content.
        folder_mode: the mode of the parent folder, which is created if it is missing.

    Raises:
        OSError: the file or its folder cannot be written.
    """
    with _part(path, data, folder_mode) as part:
        part.replace(path)
    sync_folder(path.parent)


def write_new(path: Path, data: bytes) -> bool:
    """Create a file unless it already exists.

    If several processes try at the same time, only one of them creates the file.

    Args:
        path: the path of the file to create.
        data: the file's content.

    Returns:
        True if this call created the file, False if the file already existed.

    Raises:
        OSError: the file or its folder cannot be written.
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
        write_synced(descriptor, data)
        yield part
