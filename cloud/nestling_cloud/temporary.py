"""Make temporary folders and files that are cleaned up even after their process was killed.

The owner locks the folder or file itself for as long as it is in use, and the kernel releases the
lock however the owner ends. The next process that makes one with the same prefix in the same place
removes those that nobody has locked. On a file system without locks nothing is removed.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def temporary_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """Make a folder that is removed at the end, or by the next caller if this process is killed.

    Args:
        prefix: start of the folder's name; begin it with a dot, so that it matches no folder of the
            user's.
        parent: folder to make it in; None for the system's folder for temporary files.

    Yields:
        The folder. It may be renamed to keep it.
    """
    parent = parent or Path(tempfile.gettempdir())
    remove_abandoned(parent, prefix)
    path, descriptor = _make(lambda: Path(tempfile.mkdtemp(dir=parent, prefix=prefix)))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


@contextmanager
def temporary_file(prefix: str, parent: Path) -> Iterator[tuple[Path, int]]:
    """Make a file that only its owner can read, removed in the same way as a `temporary_folder`.

    Args:
        prefix: start of the file's name.
        parent: folder to make it in.

    Yields:
        The file and a descriptor to write it with. The file may be renamed to keep it.
    """
    remove_abandoned(parent, prefix)

    def make() -> Path:
        handle, name = tempfile.mkstemp(dir=parent, prefix=prefix)  # 0600
        os.close(handle)
        return Path(name)

    path, descriptor = _make(make, os.O_RDWR)
    try:
        yield path, descriptor
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def remove_abandoned(parent: Path, prefix: str) -> None:
    """Remove what killed processes left: files and folders of this user that nobody has locked.

    Args:
        parent: folder to search; it need not exist.
        prefix: start of the names to remove.
    """
    for path in parent.glob(f"{prefix}*"):
        with suppress(OSError):  # gone meanwhile, or not ours to open
            descriptor = _open(path, os.O_RDONLY)
            try:
                if os.fstat(descriptor).st_uid == os.geteuid() and _lock(descriptor, wait=False):
                    _remove(path)
            finally:
                os.close(descriptor)


def _make(make: Callable[[], Path], flags: int = os.O_RDONLY) -> tuple[Path, int]:
    """Make a file or folder and lock it; try again if another process removed it first."""
    while True:
        path = make()
        try:
            descriptor = _open(path, flags)
        except FileNotFoundError:
            continue
        _lock(descriptor, wait=True)
        if _is_at(path, descriptor):
            return path, descriptor
        os.close(descriptor)


def _open(path: Path, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe would block


def _lock(descriptor: int, *, wait: bool) -> bool:
    """Take the lock; return False if another holds it or the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()
