"""Files that a reader, or a power cut, finds whole or not at all; only their owner reads them."""

import os
import tempfile
from pathlib import Path

PRIVATE = 0o700
SHARED = 0o777  # less the umask


def write_whole(path: Path, data: bytes, *, folder_mode: int = PRIVATE) -> None:
    """Write a file in place of an earlier one.

    Args:
        path: the file.
        data: what it holds from now on.
        folder_mode: of its folder, where that has to be made.
    """
    part = _part(path, data, folder_mode)
    try:
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_new(path: Path, data: bytes) -> bool:
    """Write a file unless there is one, even if several processes try at once.

    Returns:
        Whether it is ours.
    """
    part = _part(path, data, PRIVATE)
    try:
        path.hardlink_to(part)
    except FileExistsError:
        return False
    finally:
        part.unlink()
    sync_folder(path.parent)
    return True


def _part(path: Path, data: bytes, folder_mode: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True, mode=folder_mode)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")  # 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def sync_folder(folder: Path) -> None:
    """Make names in a folder outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
