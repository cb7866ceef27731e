"""Records which inputs of a folder have been answered, so that none is answered twice.

Before an input is answered, the cursor stores the input's file and position, and the sequence
number that the input's receipt will have. After a restart, the input counts as answered if a
receipt with that number was ever written to the outbox. The cursor also stores which finished files
could not be moved away.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nestling_device.storage.database import Database

_log = logging.getLogger(__name__)

# A file name is bytes that need not be UTF-8, and a time may exceed SQLite's integers.
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
# Cast to bytes, because sqlite3 cannot even fetch text that is damaged.
_READ_CURSOR = """
SELECT CAST(name AS BLOB), CAST(size AS BLOB), CAST(mtime_ns AS BLOB), CAST(position AS BLOB),
    CAST(sequence AS BLOB)
FROM cursor
"""
_READ_LEFT_BEHIND = """
SELECT rowid, CAST(name AS BLOB), CAST(size AS BLOB), CAST(mtime_ns AS BLOB) FROM left_behind
"""


class FileId(NamedTuple):
    """The identity of one version of a file.

    Another version under the same name is recognized by its size or its modification time.

    Attributes:
        name: the name of the file.
        size: the size of the file, in bytes.
        mtime_ns: the Unix time of the file's last modification, in nanoseconds.
    """

    name: str
    size: int
    mtime_ns: int


class Cursor:
    """A SQLite file that records which inputs of a watched folder have been answered.

    It also records the finished files that could not be moved away.
    """

    def __init__(self, state_dir: Path) -> None:
        """Open `state_dir`/source.db.

        Raises:
            StorageError: the folder cannot be written.
        """
        self._path = state_dir / "source.db"
        self._database = Database(self._path, schema=_SCHEMA, version=2)

    def note(self, file: FileId, position: int, sequence: int) -> None:
        """Record that an input is about to be answered.

        This replaces the record of the previous input.

        Args:
            file: the file that contains the input.
            position: the input's position in the file, from 0.
            sequence: the sequence number that the input's receipt will have.
        """
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT OR REPLACE INTO cursor VALUES (1, ?, ?, ?, ?, ?)",
                (*_to_row(file), position, sequence),
            )

    def answered(self, file: FileId, written: int) -> int:
        """Return how many inputs of a file have been answered.

        The result is 0 if the last recorded input belongs to another file, or if the record is
        damaged. A damaged record is logged and deleted.

        Args:
            file: the identity of the file as it is now.
            written: the sequence number of the newest receipt ever written to the outbox.
        """
        with self._database.transaction() as cursor:
            row = cursor.execute(_READ_CURSOR).fetchone()
            if row is None:
                return 0
            try:
                recorded, position, sequence = _from_row(row[:3]), int(row[3]), int(row[4])
            except ValueError as err:
                _log.warning(
                    "%s: the position in the current file is damaged, so the file is answered "
                    "from its start: %s",
                    self._path,
                    err,
                )
                cursor.execute("DELETE FROM cursor")
                return 0
        return max(0, position) + int(written >= sequence) if recorded == file else 0

    def leave_behind(self, file: FileId) -> None:
        """Record that a file is finished but could not be moved away."""
        with self._database.transaction() as cursor:
            cursor.execute("INSERT OR IGNORE INTO left_behind VALUES (?, ?, ?)", _to_row(file))

    def forget(self, file: FileId) -> None:
        """Delete the record of a file that was left behind."""
        with self._database.transaction() as cursor:
            cursor.execute(
                "DELETE FROM left_behind WHERE (name, size, mtime_ns) = (?, ?, ?)", _to_row(file)
            )

    def left_behind(self) -> set[FileId]:
        """Return the finished files that could not be moved away.

        Damaged entries are logged and deleted.
        """
        with self._database.transaction() as cursor:
            rows = cursor.execute(_READ_LEFT_BEHIND).fetchall()
            files = set()
            for number, *row in rows:
                try:
                    files.add(_from_row(row))
                except ValueError as err:
                    _log.warning(
                        "%s: the entry of a file left behind is damaged, so that file may be "
                        "answered again: %s",
                        self._path,
                        err,
                    )
                    cursor.execute("DELETE FROM left_behind WHERE rowid = ?", (number,))
        return files

    def close(self) -> None:
        """Close the database."""
        self._database.close()


def _to_row(file: FileId) -> tuple[bytes, int, str]:
    return os.fsencode(file.name), file.size, str(file.mtime_ns)


def _from_row(row: Sequence[bytes]) -> FileId:
    """Return the file that a row identifies, or raise ValueError if the row is damaged."""
    name, size, mtime_ns = row
    return FileId(os.fsdecode(name), int(size), int(mtime_ns))
