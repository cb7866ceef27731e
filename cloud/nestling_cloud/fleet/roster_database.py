"""Opens the SQLite file of the roster, and runs transactions on it.

Errors of SQLite and damaged rows are raised as RosterError.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from nestling_cloud.errors import CloudError
from nestling_core.closing import Closing

_VERSION = 1
_BUSY_S = 10.0
_SCHEMA = """
CREATE TABLE tokens (
    name TEXT PRIMARY KEY,
    secret BLOB NOT NULL UNIQUE,
    expires INTEGER NOT NULL,
    used_by BLOB
);
CREATE TABLE certificates (
    serial TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    expires INTEGER NOT NULL,
    revoked INTEGER
);
CREATE INDEX certificates_by_name ON certificates (name);
CREATE TABLE revision (id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL);
INSERT INTO revision VALUES (1, 0)
"""


class RosterError(CloudError):
    """Raised when the roster cannot be used, or a device's name is unknown or not allowed."""


class RosterDatabase(Closing):
    """The SQLite file that stores the roster.

    Several threads and processes may use one file at once.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, and create it if there is none.

        Args:
            path: the path of the file.

        Raises:
            RosterError: the file cannot be opened, or another version of the program wrote it.
        """
        self._path = path
        # Reads have their own connection, because they happen in every call and must not wait for
        # a writer.
        self._write_lock, self._read_lock = threading.Lock(), threading.Lock()
        with self._wrapped():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600)
            self._writer, self._reader = self._connect(), self._connect()
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, timeout=_BUSY_S
        )

    def _prepare(self) -> None:
        with self._wrapped():
            self._writer.execute("PRAGMA journal_mode=WAL")
            self._writer.execute("PRAGMA synchronous=FULL")
        with self.transaction() as cursor:
            (found,) = cursor.execute("PRAGMA user_version").fetchone()
            if found == 0:
                for statement in _SCHEMA.split(";"):
                    cursor.execute(statement)
                cursor.execute(f"PRAGMA user_version={_VERSION}")
        if found not in {0, _VERSION}:
            raise RosterError(
                f"{self._path} has version {found} and this nestling-cloud works with {_VERSION}: "
                "use the nestling-cloud that wrote it"
            )

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Cursor]:
        """Yield a cursor for one transaction, which excludes other writers.

        The transaction is committed at the end of the block, or rolled back after an error.
        """
        with self._write_lock, self._wrapped(), closing(self._writer.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    cursor.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Cursor]:
        """Yield a cursor for queries, without waiting for a writer."""
        with self._read_lock, self._wrapped(), closing(self._reader.cursor()) as cursor:
            yield cursor

    @contextmanager
    def _wrapped(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, UnicodeDecodeError) as err:
            raise RosterError(
                f"{self._path}: {err}; check that the folder can be written and has space"
            ) from err

    @contextmanager
    def sound_rows(self) -> Iterator[None]:
        """Raise RosterError if the block finds a damaged row."""
        try:
            yield
        except (ValueError, TypeError, OverflowError, OSError) as err:  # also for invalid times
            raise RosterError(
                f"{self._path} is damaged: {err}; restore a copy of it, or move it away and "
                "enrol the devices again"
            ) from err

    def close(self) -> None:
        """Close the file."""
        with self._write_lock, self._read_lock:
            self._writer.close()
            self._reader.close()
