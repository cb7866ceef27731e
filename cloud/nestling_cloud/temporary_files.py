"""Makes temporary folders and files that are removed even if the process that uses them is killed.

Temporary folders and files are locked while a process uses them, and the kernel releases the locks
however the process ends. Before a folder or file is made, all unlocked files and folders of the
same user with the same prefix and parent folder are removed. On a file system without locks, the
folders and files of killed processes are not removed.
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
    """Make a folder that is removed at the end of the `with` block.

    If this process is killed, the next caller with the same prefix and parent removes the folder.

    Args:
        prefix: the start of the folder's name. Any file or folder of this user in `parent` whose
            name starts with the prefix may be removed, so no other name may start with the prefix.
        parent: the parent folder; None for the system's folder for temporary files.

    Yields:
        The path of the folder. To keep the folder, rename it.
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
    """Make a private file (mode 0600) that is removed at the end of the `with` block.

    If this process is killed, the next caller with the same prefix and parent removes the file.

    Args:
        prefix: the start of the file's name, with the same restriction as in `temporary_folder`.
        parent: the parent folder.

    Yields:
        The path of the file and a descriptor for writing the file. To keep the file, rename it.
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
    """Remove the temporary files and folders that killed processes of this user left behind.

    Files and folders that a process has locked are still in use and stay.

    Args:
        parent: the folder to search, which need not exist.
        prefix: the start of the names to remove.
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
    """Make a file or folder, lock it, and return its path and an open descriptor.

    If another process removes the file or folder before it is locked, `make` is called again. On a
    file system without locks, the file or folder stays unlocked.
    """
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
    """Lock a file or folder, and return whether that succeeded.

    Locking fails if `wait` is False and another process holds the lock, or if the file system has
    no locks.
    """
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
