"""Temporary folders and files that a killed process does not leave behind for good.

The owner holds a lock on the folder or file itself for as long as it lives, and the kernel lets go
of it whatever ends the owner. Whoever makes the next one of the same kind, in the same place,
removes those that nobody holds. Where a place knows no locks nothing is removed.
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
        prefix: of its name; begin it with a dot, so that no folder of a user's is called so.
        parent: where; None for the system's folder for temporary files.

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
    """Make a file that only its owner reads, removed as `temporary_folder` removes a folder.

    Args:
        prefix: of its name.
        parent: where.

    Yields:
        The file and a descriptor to write it with. It may be renamed to keep it.
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
    """Remove what a killed process left: this user's, of this prefix, and held by nobody.

    Args:
        parent: where to look; it need not exist.
        prefix: of the names.
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
    """Make something and take its lock, again if another's sweep was quicker than the lock."""
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
    """Take the lock; False where another holds it, or where the place knows no locks."""
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
