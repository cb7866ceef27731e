"""Reads files and keeps them open for later reads.

A server that has run out of file descriptors can then still read the files that it read recently.
"""

import os
import threading
import weakref
from collections import OrderedDict
from pathlib import Path

_MOST_OPEN = 64

# Path, inode and modification time, which change if the file is replaced.
_Key = tuple[str, int, int]


class OpenFiles:
    """Reads files, and keeps the most recently read files open.

    A file that was replaced since the last read is opened again. Several threads may use the same
    object.

    Args:
        most: the largest number of files to keep open.
    """

    def __init__(self, *, most: int = _MOST_OPEN) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._open: OrderedDict[_Key, int] = OrderedDict()
        weakref.finalize(self, _close_all, self._open)

    def read(self, path: Path, offset: int = 0, limit: int | None = None) -> bytes:
        """Return a piece of a file.

        Args:
            path: the path of the file.
            offset: the position of the first byte to read.
            limit: the largest number of bytes to read; None for the rest of the file.

        Raises:
            OSError: the file cannot be read, or no longer exists.
        """
        with self._lock:
            descriptor = self._descriptor(path)
            count = os.fstat(descriptor).st_size - offset if limit is None else limit
            return os.pread(descriptor, count, offset)

    def _descriptor(self, path: Path) -> int:
        key = _key(path, path.stat())
        if key not in self._open:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            key = _key(path, os.fstat(descriptor))  # the file may have been replaced since `stat`
            self._keep(key, descriptor)
        self._open.move_to_end(key)
        return self._open[key]

    def _keep(self, key: _Key, descriptor: int) -> None:
        for replaced in [each for each in self._open if each[0] == key[0]]:
            os.close(self._open.pop(replaced))
        while len(self._open) >= self._most:
            os.close(self._open.popitem(last=False)[1])
        self._open[key] = descriptor


def _key(path: Path, status: os.stat_result) -> _Key:
    return str(path), status.st_ino, status.st_mtime_ns


def _close_all(kept: "OrderedDict[_Key, int]") -> None:
    while kept:
        os.close(kept.popitem()[1])
