"""A SQLite file of the device: what a transaction wrote survives a kill and a power cut."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from nestling_device import folder
from nestling_device.errors import DeviceError


class StorageError(DeviceError):
    """The state folder cannot be read or written."""


class Database:
    """One SQLite file in WAL mode with `synchronous=FULL`, shared by the threads of a process."""

    def __init__(self, path: Path, *, schema: str, version: int) -> None:
        """Open the file, and make it if there is none.

        Args:
            path: the file; its folder is made.
            schema: statements that make an empty file ready.
            version: of the schema, from 1; a file of another version is refused.

        Raises:
            StorageError: the folder cannot be written, or the file is damaged or of another
                version.
        """
        self._path = path
        self._lock = threading.RLock()
        with self._wrapped():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(schema, version)
        except BaseException:
            self._connection.close()
            raise
        folder.sync(path.parent)

    def _prepare(self, schema: str, version: int) -> None:
        with self._wrapped():
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
        with self.transaction() as cursor:
            (found,) = cursor.execute("PRAGMA user_version").fetchone()
            if found == 0:
                for statement in filter(str.strip, schema.split(";")):
                    cursor.execute(statement)
                cursor.execute(f"PRAGMA user_version={version}")
        if found not in {0, version}:
            raise StorageError(
                f"{self._path} has layout {found} and this program knows {version}: use the "
                "program that wrote it, or another state folder"
            )

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Cursor]:
        """Run statements that happen all or not at all; they are on the disk when this ends.

        Raises:
            StorageError: the disk is full or the file is damaged; nothing has changed.
        """
        with self._lock, self._wrapped():
            cursor = self._connection.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    cursor.execute("ROLLBACK")
                raise
            finally:
                cursor.close()

    @contextmanager
    def _wrapped(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as err:
            raise StorageError(
                f"{self._path}: {err}; check that the folder can be written and has space, or "
                "use another state folder"
            ) from err

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
