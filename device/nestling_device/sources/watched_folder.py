"""Supplies the inputs in the files of a watched folder, in the order of the files' names.

A file may be written slowly, so a file that cannot be read yet is left alone while it changes. A
file that stays unreadable is moved to a subfolder, together with a text file that states the
reason. A file that cannot be moved stays where it is and is skipped, so that it does not block
other files.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nestling_device.sources.array_file import ARRAY_SUFFIX, array_of, open_regular, to_windows
from nestling_device.sources.cursor import Cursor, FileId
from nestling_device.sources.drop_folder import DropFolder
from nestling_device.sources.media_reader import MediaReader
from nestling_device.sources.source import Input, Origin, Windows, one_line, readable_name

# A whole file is held in memory twice: as it is on the disk, and as float32.
LARGEST_FILE_BYTES = 64 << 20
_VALUE_BYTES = 4
_POLL_S = 0.5
# Time between attempts to move a file that could not be moved.
_RETRY_S = 60.0
# Most unanswered windows that the reason of a rejected file names.
_MOST_NAMED = 10


@dataclass(frozen=True, kw_only=True)
class _OpenFile:
    """A file that is being answered.

    Attributes:
        id: the identity of the file.
        windows: the windows in the file.
        refused: the positions of the windows that have no answer, from 0.
    """

    id: FileId
    windows: Windows
    refused: list[int] = field(default_factory=list)


class WatchedFolder:
    """A source of the windows in the files of a folder.

    Each finished file is moved into a subfolder or deleted.
    """

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
        media: MediaReader | None = None,
    ) -> None:
        """Watch a folder.

        Files whose names begin with a dot are ignored, and so are those with neither the extension
        .npy nor one of the task's pictures or sounds.

        Args:
            folder: an existing, writable folder.
            shape: the shape of the task's inputs. A file holds one input, or several as (N,
                *shape).
            cursor: the record of answered inputs, which the source closes.
            written: a function that returns the sequence number of the newest receipt ever written
                to the outbox.
            keep_answered: whether answered files are moved to the subfolder `answered`. Otherwise
                they are deleted.
            settle_s: the time in seconds without a change after which an unreadable file is
                rejected.
            media: the reader of the task's pictures or sounds, or None if the task has neither.

        Raises:
            SourceError: the folder does not exist or cannot be written.
        """
        self._media = media
        self._files = DropFolder(folder, (ARRAY_SUFFIX, *(media.suffixes if media else ())))
        self._shape = tuple(shape)
        self._cursor = cursor
        self._written = written
        self._keep_answered = keep_answered
        self._settle_s = settle_s
        self._waiting: deque[str] = deque()  # names, from the last listing
        self._file: _OpenFile | None = None
        self._position = 0
        self._unreadable: dict[FileId, float] = {}  # monotonic time of the first failure
        self._answered = cursor.left_behind()  # answered files that are still in the folder
        self._stuck_until: dict[FileId, float] = {}  # monotonic time of the next attempt to move
        self._faults: dict[FileId, str] = {}  # why files have unanswered windows
        self._closed = threading.Event()

    def take(self, timeout_s: float) -> Input | None:
        """Wait for the next window and return it, or None if none comes in time.

        The cursor records that the window is about to be answered.
        """
        deadline = time.monotonic() + timeout_s
        while not self._ready():
            left_s = deadline - time.monotonic()
            if left_s <= 0 or self._closed.wait(min(left_s, _POLL_S)):
                return None
        assert self._file is not None
        self._cursor.note(self._file.id, self._position, self._written() + 1)
        return Input(
            window=self._file.windows[self._position],
            origin=Origin(file=readable_name(self._file.id.name), window=self._position),
        )

    def settle(self, line: str) -> None:
        """Count the window as answered.

        After the file's last window, the file is moved or deleted.
        """
        del line
        self._position += 1
        self._finish()

    def revise(self, line: str, origin: Origin) -> None:
        """Do nothing, because no producer waits for the answer."""

    def refuse(self, reason: str) -> None:
        """Skip the window without an answer.

        After the file's last window, the file is moved to the subfolder `rejected`, even if other
        windows in it were answered.
        """
        assert self._file is not None
        self._file.refused.append(self._position)
        path = one_line(str(self._files.path(self._file.id.name)))
        self._faults[self._file.id] = f"{path} {_no_answer(self._file.refused)}: {reason}"
        self._position += 1
        self._finish()

    def close(self) -> None:
        """End a wait in `take`, and close the cursor."""
        self._closed.set()
        self._cursor.close()

    def _ready(self) -> bool:
        """Return whether a window is available, after opening the next file if necessary."""
        while self._file is None:
            file = self._next()
            if file is None:
                return False
            self._file = file
            self._position = self._cursor.answered(file.id, self._written())
            self._finish()  # a kill may have come between the last answer and the move
        return True

    def _finish(self) -> None:
        if self._file is not None and self._position >= len(self._file.windows):
            self._dispose(self._file.id)
            self._file = None

    def _dispose(self, file: FileId) -> None:
        """Move a finished file out of the folder, or record that it is still there."""
        if self._put_away(file):
            self._faults.pop(file, None)
            if file in self._answered:
                self._answered.discard(file)
                self._cursor.forget(file)
            return
        if file not in self._answered:
            self._answered.add(file)
            self._cursor.leave_behind(file)
        self._stuck_until[file] = time.monotonic() + _RETRY_S

    def _put_away(self, file: FileId) -> bool:
        fault = self._faults.get(file)
        if fault is not None:
            return self._files.reject(file.name, fault)
        if self._keep_answered:
            return self._files.put_away(file.name)
        return self._files.remove(file.name)

    def _next(self) -> _OpenFile | None:
        """Return the next readable file in the folder, or None if there is none.

        The file comes from the last listing of the folder or, if none is left there, from a new
        listing.
        """
        file = self._next_waiting()
        if file is None:
            self._list()
            file = self._next_waiting()
        return file

    def _next_waiting(self) -> _OpenFile | None:
        while self._waiting:
            file = self._open(self._waiting.popleft())
            if file is not None:
                return file
        return None

    def _list(self) -> None:
        names = self._files.names()
        self._waiting = deque(names)
        present = set(names)
        known: dict[FileId, Any]
        for known in (self._unreadable, self._stuck_until, self._faults):
            for file in [file for file in known if file.name not in present]:
                del known[file]

    def _open(self, name: str) -> _OpenFile | None:
        file = _identify(self._files.path(name))
        now = time.monotonic()
        if file is None or now < self._stuck_until.get(file, now):
            return None
        if file in self._answered:
            self._dispose(file)
            return None
        since = self._unreadable.get(file)
        if since is not None and now - since < self._settle_s:
            return None
        try:
            return _OpenFile(id=file, windows=self._read(file))
        except Exception as err:  # noqa: BLE001  numpy's parsers may raise anything
            if since is None:
                self._unreadable[file] = now
            elif not self._files.reject(name, _reason(self._files.path(name), err)):
                self._stuck_until[file] = now + _RETRY_S
        return None

    def _read(self, file: FileId) -> Windows:
        """Return the windows in a file.

        Raises:
            OSError: the file cannot be opened.
            ValueError: the file has changed, is too large, or has no valid input. The error's
                text continues a sentence that begins with the file's name.
        """
        with open_regular(self._files.path(file.name)) as opened:
            if _file_id(file.name, os.fstat(opened.fileno())) != file:
                raise ValueError("is still being written")
            _check_size(file.size)
            if self._media is not None and not file.name.lower().endswith(ARRAY_SUFFIX):
                return self._media.read(opened.read())[None]
            try:
                array = array_of(opened)
            except Exception as err:
                raise ValueError(f"is not a readable .npy file: {err}") from err
        _check_size(array.size * _VALUE_BYTES)
        return to_windows(array[None] if array.shape == self._shape else array, self._shape)


def _reason(path: Path, err: Exception) -> str:
    fault = f"cannot be opened: {err.strerror or err}" if isinstance(err, OSError) else str(err)
    return f"{one_line(str(path))} {fault}"


def _no_answer(windows: Sequence[int]) -> str:
    named = ", ".join(map(str, windows[:_MOST_NAMED]))
    more = f" and {len(windows) - _MOST_NAMED} more" if len(windows) > _MOST_NAMED else ""
    return f"has no answer to window {named}{more}, counted from 0"


def _check_size(size_bytes: int) -> None:
    if size_bytes > LARGEST_FILE_BYTES:
        raise ValueError(
            f"takes {size_bytes} bytes of memory, more than {LARGEST_FILE_BYTES}; split it or make "
            "it smaller"
        )


def _identify(path: Path) -> FileId | None:
    """Return the identity of the entry at a path, or None if the entry is gone."""
    for stat in (os.stat, os.lstat):
        try:
            return _file_id(path.name, stat(path))
        except OSError:
            continue  # a broken link is identified by its own status
    return None


def _file_id(name: str, stat: os.stat_result) -> FileId:
    return FileId(name, stat.st_size, stat.st_mtime_ns)
