"""How far a folder has been answered, so that a restart answers nothing twice.

Before an input is answered, the cursor notes which one it is and which receipt it will have. After
a kill the outbox tells whether that receipt was written: if so, the input is answered. Files that
were answered and could not be moved away are noted too.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nestling_device.storage.database import Database

_log = logging.getLogger(__name__)

# A name is bytes that need not be UTF-8, and a time may lie beyond SQLite's integers.
_SCHEMA = """
CREATE TABLE cursor (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    name BLOB NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns TEXT NOT NULL,
    position INTEGER NOT NULL,
    sequence INTEGER NOT NULL
);
CREATE TABLE left_behind (
    name BLOB NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns TEXT NOT NULL,
    PRIMARY KEY (name, size, mtime_ns)
)
"""
# As bytes, whatever is in them: a text that is damaged could not even be fetched.
_READ_CURSOR = """
SELECT CAST(name AS BLOB), CAST(size AS BLOB), CAST(mtime_ns AS BLOB), CAST(position AS BLOB),
    CAST(sequence AS BLOB)
FROM cursor
"""
_READ_LEFT_BEHIND = """
SELECT rowid, CAST(name AS BLOB), CAST(size AS BLOB), CAST(mtime_ns AS BLOB) FROM left_behind
"""


class FileId(NamedTuple):
    """A file as it was seen; another one under its name has other figures."""

    name: str
    size: int
    mtime_ns: int


class Cursor:
    """The input being answered, and the answered files that are still there, in SQLite."""

    def __init__(self, state_dir: Path) -> None:
        """Open `state_dir`/source.db.

        Raises:
            StorageError: the folder cannot be used.
        """
        self._path = state_dir / "source.db"
        self._database = Database(self._path, schema=_SCHEMA, version=2)

    def note(self, file: FileId, position: int, sequence: int) -> None:
        """Note that a file's input is about to be answered, by a receipt of that sequence."""
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT OR REPLACE INTO cursor VALUES (1, ?, ?, ?, ?, ?)",
                (*_to_row(file), position, sequence),
            )

    def answered(self, file: FileId, written: int) -> int:
        """Count a file's inputs that are answered.

        Args:
            file: as it is now.
            written: sequence of the newest receipt in the outbox.
        """
        with self._database.transaction() as cursor:
            found = cursor.execute(_READ_CURSOR).fetchone()
            if found is None:
                return 0
            try:
                noted, position, sequence = _from_row(found[:3]), int(found[3]), int(found[4])
            except ValueError as err:
                _log.warning(
                    "%s: how far a file was answered is damaged, so it is answered from its "
                    "start: %s",
                    self._path,
                    err,
                )
                cursor.execute("DELETE FROM cursor")
                return 0
        return max(0, position) + int(written >= sequence) if noted == file else 0

    def leave_behind(self, file: FileId) -> None:
        """Note that a file is answered and could not be moved away."""
        with self._database.transaction() as cursor:
            cursor.execute("INSERT OR IGNORE INTO left_behind VALUES (?, ?, ?)", _to_row(file))

    def forget(self, file: FileId) -> None:
        """Note that a file left behind is gone now."""
        with self._database.transaction() as cursor:
            cursor.execute(
                "DELETE FROM left_behind WHERE (name, size, mtime_ns) = (?, ?, ?)", _to_row(file)
            )

    def left_behind(self) -> set[FileId]:
        """Answered files that could not be moved away."""
        with self._database.transaction() as cursor:
            rows = cursor.execute(_READ_LEFT_BEHIND).fetchall()
            found = set()
            for number, *row in rows:
                try:
                    found.add(_from_row(row))
                except ValueError as err:
                    _log.warning(
                        "%s: which file was left behind is damaged, so it may be answered again: "
                        "%s",
                        self._path,
                        err,
                    )
                    cursor.execute("DELETE FROM left_behind WHERE rowid = ?", (number,))
        return found

    def close(self) -> None:
        self._database.close()


def _to_row(file: FileId) -> tuple[bytes, int, str]:
    return os.fsencode(file.name), file.size, str(file.mtime_ns)


def _from_row(row: Sequence[bytes]) -> FileId:
    """Read a file's columns; raises ValueError where they are damaged."""
    name, size, mtime_ns = row
    return FileId(os.fsdecode(name), int(size), int(mtime_ns))
