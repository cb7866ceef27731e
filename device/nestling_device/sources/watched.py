"""A folder that is watched: .npy files that appear in it are answered, in the order of names.

A file need not appear at once. One that cannot be read yet is left alone while it changes; what
stays unreadable is moved aside, and said so.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nestling_device.sources.cursor import Cursor, FileId
from nestling_device.sources.recorded import read_windows
from nestling_device.sources.source import SourceError, Windows

_log = logging.getLogger(__name__)

ANSWERED = "answered"
REJECTED = "rejected"
# One file is held in memory as a whole.
LARGEST_FILE_BYTES = 64 << 20
_POLL_S = 0.5


@dataclass(frozen=True, kw_only=True)
class _Open:
    """A file being answered."""

    id: FileId
    windows: Windows


class WatchedFolder:
    """Gives the windows of the files in a folder, and moves every file away when it is done."""

    live = True

    def __init__(
        self,
        folder: Path,
        shape: Sequence[int],
        *,
        cursor: Cursor,
        written: Callable[[], int],
        keep_answered: bool = True,
        settle_s: float = 5.0,
    ) -> None:
        """Watch a folder; names that begin with a dot, or do not end in .npy, are left alone.

        Args:
            folder: has to be there, and to be writable.
            shape: of the task's inputs; a file holds one, or several as (N, *shape).
            cursor: closed with the source.
            written: sequence of the newest receipt in the outbox.
            keep_answered: move answered files to `answered`; otherwise delete them.
            settle_s: a file that cannot be read counts as bad when it did not change for so long.

        Raises:
            SourceError: no such folder, or it cannot be written.
        """
        self._folder = folder
        self._shape = tuple(shape)
        self._cursor = cursor
        self._written = written
        self._keep_answered = keep_answered
        self._settle_s = settle_s
        self._file: _Open | None = None
        self._position = 0
        self._unreadable: dict[FileId, float] = {}  # since when, monotonic
        self._closed = threading.Event()
        self._make_folders()

    def _make_folders(self) -> None:
        try:
            for name in (ANSWERED, REJECTED):
                (self._folder / name).mkdir(exist_ok=True)
            if not os.access(self._folder, os.W_OK | os.X_OK):
                raise PermissionError(13, "Permission denied")
        except OSError as err:
            raise SourceError(
                f"{self._folder} cannot be watched: {err.strerror}; name a folder in which the "
                "device may move files"
            ) from err

    def take(self, timeout_s: float) -> Windows | None:
        """Wait for the next window."""
        deadline = time.monotonic() + timeout_s
        while not self._ready():
            left_s = deadline - time.monotonic()
            if left_s <= 0 or self._closed.wait(min(left_s, _POLL_S)):
                return None
        assert self._file is not None
        self._cursor.note(self._file.id, self._position, self._written() + 1)
        window: Windows = self._file.windows[self._position]
        return window

    def settle(self, line: str) -> None:
        """Count the window as answered; after its last one a file is moved away."""
        del line
        self._position += 1
        self._finish()

    def close(self) -> None:
        """Close the cursor."""
        self._closed.set()
        self._cursor.close()

    def _ready(self) -> bool:
        """Whether there is a window to give; opens the next file if need be."""
        while self._file is None:
            found = self._next()
            if found is None:
                return False
            self._file = found
            self._position = self._cursor.answered(found.id, self._written())
            self._finish()  # a kill may have come between the last answer and the move
        return True

    def _finish(self) -> None:
        if self._file is None or self._position < len(self._file.windows):
            return
        path = self._folder / self._file.id.name
        if self._keep_answered:
            self._move(path, ANSWERED)
        else:
            self._do(path, path.unlink)
        self._file = None

    def _next(self) -> _Open | None:
        present = self._list()
        self._unreadable = {
            file: since for file, since in self._unreadable.items() if file in present
        }
        for file in present:
            found = self._open(file)
            if found is not None:
                return found
        return None

    def _list(self) -> list[FileId]:
        found = []
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    if entry.name.endswith(".npy") and entry.name[0] != "." and entry.is_file():
                        stat = entry.stat()
                        found.append(FileId(entry.name, stat.st_size, stat.st_mtime_ns))
        except OSError as err:  # a stick that was pulled out may come back
            _log.warning("%s cannot be listed: %s", self._folder, err.strerror)
        return sorted(found)

    def _open(self, file: FileId) -> _Open | None:
        now = time.monotonic()
        since = self._unreadable.get(file)
        if since is not None and now - since < self._settle_s:
            return None
        path = self._folder / file.name
        try:
            return _Open(id=file, windows=self._read(path, file.size))
        except SourceError as err:
            if since is None:
                self._unreadable[file] = now
            else:
                _log.warning("%s; moved to %s", err, self._folder / REJECTED)
                self._move(path, REJECTED)
        return None

    def _read(self, path: Path, size: int) -> Windows:
        if size > LARGEST_FILE_BYTES:
            raise SourceError(f"{path} has {size} bytes, more than {LARGEST_FILE_BYTES}; cut it up")
        return read_windows(path, self._shape)

    def _move(self, path: Path, name: str) -> None:
        target = self._folder / name / path.name
        number = 0
        while target.exists():
            number += 1
            target = target.with_name(f"{path.stem}-{number}{path.suffix}")
        self._do(path, lambda: path.rename(target))

    def _do(self, path: Path, action: Callable[[], object]) -> None:
        try:
            action()
        except FileNotFoundError:
            _log.warning("%s was taken away while it was answered", path)
        except OSError as err:
            raise SourceError(
                f"{path} cannot be moved away: {err.strerror}; let the device write to its folder"
            ) from err
