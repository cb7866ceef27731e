"""A SQLite file of the device: what a transaction wrote survives a kill and a power cut."""

import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from nestling_core.private_file import keep_private
from nestling_device.errors import DeviceError
from nestling_device.storage import fsync

_log = logging.getLogger(__name__)


class StorageError(DeviceError):
    """The state folder cannot be read or written."""


@dataclass(frozen=True, kw_only=True)
class LockTimeout:
    """How long to wait for another program that holds the file locked, such as a backup.

    Attributes:
        busy_s: longest wait of one attempt.
        give_up_s: longest wait of all attempts together; then the lock is an error.
    """

    busy_s: float = 2.0
    give_up_s: float = 300.0


class Database:
    """One SQLite file in WAL mode with `synchronous=FULL`, shared by the threads of a process."""

    def __init__(
        self, path: Path, *, schema: str, version: int, patience: LockTimeout | None = None
    ) -> None:
        """Open the file, making it if there is none; only its owner may read it.

        Args:
            path: the file; its folder is made.
            schema: statements that make an empty file ready.
            version: of the schema, from 1; a file of another version is refused.
            patience: with a program that holds the file locked; None for the usual one.

        Raises:
            StorageError: the folder cannot be written, or the file is damaged, of another version
                or locked for good.
        """
        self._path = path
        self._patience = patience or LockTimeout()
        self._lock = threading.RLock()
        with self._wrapped():
            path.parent.mkdir(parents=True, exist_ok=True)
            keep_private(path)
            self._connection = sqlite3.connect(
                path,
                isolation_level=None,
                check_same_thread=False,
                timeout=self._patience.busy_s,
            )
        try:
            self._prepare(schema, version)
        except BaseException:
            self._connection.close()
            raise
        fsync.sync(path.parent)

    def _prepare(self, schema: str, version: int) -> None:
        with self._wrapped():
            self._execute_when_unlocked("PRAGMA journal_mode=WAL")
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
    def transaction(self, *, give_up_s: float | None = None) -> Iterator[sqlite3.Cursor]:
        """Run statements that happen all or not at all; they are on the disk when this ends.

        Waits while another program holds the file locked.

        Args:
            give_up_s: longest wait, though never less than one attempt; None for this file's
                patience.

        Raises:
            StorageError: the disk is full, or the file is damaged or locked for good; nothing has
                changed.
        """
        with self._lock, self._wrapped():
            self._execute_when_unlocked("BEGIN IMMEDIATE", give_up_s)
            cursor = self._connection.cursor()
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    cursor.execute("ROLLBACK")
                raise
            finally:
                cursor.close()

    def damage_error(self, fault: object) -> StorageError:
        """Make the error to raise for content that makes no sense."""
        return StorageError(
            f"{self._path} is damaged: {fault}; move it away, or use another state folder"
        )

    def check(self) -> None:
        """Check the whole file for damage.

        Raises:
            StorageError: it is damaged.
        """
        with self.transaction() as cursor:
            (found,) = cursor.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise self.damage_error(found)

    def _execute_when_unlocked(self, statement: str, give_up_s: float | None = None) -> None:
        """Execute a statement once no other program holds the file locked."""
        patience_s = self._patience.give_up_s if give_up_s is None else give_up_s
        deadline_s = time.monotonic() + patience_s
        warned = False
        while True:
            try:
                self._connection.execute(statement)
            except sqlite3.OperationalError as err:
                # The low byte of an extended code is the plain one.
                busy = err.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
                if not busy or time.monotonic() > deadline_s:
                    raise
                if not warned:
                    _log.warning("%s is locked by another program; waiting for it", self._path)
                warned = True
            else:
                return

    @contextmanager
    def _wrapped(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, UnicodeDecodeError) as err:
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
