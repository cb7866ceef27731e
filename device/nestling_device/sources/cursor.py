"""How far a folder has been answered, so that a restart answers nothing twice.

Before an input is answered, the cursor notes which one it is and which receipt it will have. After
a kill the outbox tells whether that receipt was written: if so, the input is answered.
"""

from pathlib import Path
from typing import NamedTuple

from nestling_device.database import Database

_SCHEMA = """
CREATE TABLE cursor (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    position INTEGER NOT NULL,
    sequence INTEGER NOT NULL
)
"""


class FileId(NamedTuple):
    """A file as it was seen; another one under its name has other figures."""

    name: str
    size: int
    mtime_ns: int


class Cursor:
    """The input being answered, in one row of SQLite."""

    def __init__(self, state_dir: Path) -> None:
        """Open `state_dir`/source.db.

        Raises:
            StorageError: the folder cannot be used.
        """
        self._database = Database(state_dir / "source.db", schema=_SCHEMA, version=1)

    def note(self, file: FileId, position: int, sequence: int) -> None:
        """Say that a file's input is about to be answered, by a receipt of that sequence."""
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT OR REPLACE INTO cursor VALUES (1, ?, ?, ?, ?, ?)",
                (*file, position, sequence),
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
        if row is None or FileId(*row[:3]) != file:
            return 0
        position, sequence = row[3:]
        return int(position) + int(written >= sequence)

    def close(self) -> None:
        self._database.close()
