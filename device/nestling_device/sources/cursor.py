"""How far a folder has been answered, so that a restart answers nothing twice.

Before an input is answered, the cursor notes which one it is and which receipt it will have. After
a kill the outbox tells whether that receipt was written: if so, the input is answered. Files that
were answered and could not be moved away are noted too.
"""

import os
from pathlib import Path
from typing import NamedTuple

from nestling_device.database import Database

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
        self._database = Database(state_dir / "source.db", schema=_SCHEMA, version=2)

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
            row = cursor.execute(
                "SELECT name, size, mtime_ns, position, sequence FROM cursor"
            ).fetchone()
        if row is None or _from_row(row[:3]) != file:
            return 0
        position, sequence = row[3:]
        return int(position) + int(written >= sequence)

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
            rows = cursor.execute("SELECT name, size, mtime_ns FROM left_behind").fetchall()
        return {_from_row(row) for row in rows}

    def close(self) -> None:
        self._database.close()


def _to_row(file: FileId) -> tuple[bytes, int, str]:
    return os.fsencode(file.name), file.size, str(file.mtime_ns)


def _from_row(row: tuple[bytes, int, str]) -> FileId:
    name, size, mtime_ns = row
    return FileId(os.fsdecode(name), size, int(mtime_ns))
