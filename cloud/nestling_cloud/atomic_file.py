"""Write files atomically: after a crash or a power cut a file is either complete or absent.

Only the owner can read them (mode 0600).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nestling_cloud.temporary import temporary_file
from nestling_core.file_sync import sync_folder, write_synced

PRIVATE = 0o700
SHARED = 0o777  # minus the umask


def write_whole(path: Path, data: bytes, *, folder_mode: int = PRIVATE) -> None:
    """Write a file atomically, replacing an existing one.

    Args:
        path: the file to write.
        data: its new content.
        folder_mode: mode of the parent folder if it has to be created.

    Raises:
        OSError: the file or its folder cannot be written.
    """
    with _part(path, data, folder_mode) as part:
        part.replace(path)
    sync_folder(path.parent)


def write_new(path: Path, data: bytes) -> bool:
    """Write a file unless it exists; safe when several processes try at the same time.

    Args:
        path: the file to create.
        data: its content.

    Returns:
        True if this call created the file, False if it already existed.

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
