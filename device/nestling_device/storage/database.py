"""Opens the SQLite files of the device.

Committed transactions survive a kill and a power cut.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nestling_core.closing import Closing
from nestling_core.file_sync import sync_folder
from nestling_core.private_file import keep_private
from nestling_device.errors import DeviceError

_log = logging.getLogger(__name__)


class StorageError(DeviceError):
    """Raised when the state folder cannot be read or written."""


@dataclass(frozen=True, kw_only=True)
class LockTimeout:
    """The longest time to wait while another program, such as a backup, has locked the file.

    Attributes:
        busy_s: the longest time for one attempt, in seconds.
        give_up_s: the time in seconds after which no further attempt is made and StorageError is
            raised.
    """

    busy_s: float = 2.0
    give_up_s: float = 300.0


class Database(Closing):
    """One SQLite file that the threads of a process share.

    The file is in WAL mode with `synchronous=FULL`.
    """

    def __init__(
        self, path: Path, *, schema: str, version: int, lock_timeout: LockTimeout | None = None
    ) -> None:
        """Open the file, or create it so that only its owner can read it.

        Args:
            path: the file, whose folder is created if missing.
            schema: the SQL statements that set up an empty file.
            version: the version of the schema, from 1. A file of another version is refused.
            lock_timeout: the longest time to wait while another program has locked the file
                (default: `LockTimeout()`).

        Raises:
            StorageError: the folder cannot be written, or the file is damaged, has another version,
                or stays locked.
        """
        self._path = path
        self._lock_timeout = lock_timeout or LockTimeout()
        self._lock = threading.RLock()
        with self._wrapped():
            path.parent.mkdir(parents=True, exist_ok=True)
            keep_private(path)
            self._connection = sqlite3.connect(
                path,
                isolation_level=None,
                check_same_thread=False,
                timeout=self._lock_timeout.busy_s,
            )
        try:
            self._prepare(schema, version)
        except BaseException:
            self._connection.close()
            raise
        sync_folder(path.parent)

    def _prepare(self, schema: str, version: int) -> None:
        with self._wrapped():
            self._execute_when_unlocked("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
        with self.transaction() as cursor:
            (found_version,) = cursor.execute("PRAGMA user_version").fetchone()
            if found_version == 0:
                for statement in filter(str.strip, schema.split(";")):
                    cursor.execute(statement)
                cursor.execute(f"PRAGMA user_version={version}")
        if found_version not in {0, version}:
            raise StorageError(
                f"{self._path} has layout {found_version} and this program knows {version}: use "
                "the program that wrote it, or another state folder"
            )

    @contextmanager
    def transaction(self, *, give_up_s: float | None = None) -> Iterator[sqlite3.Cursor]:
        """Run the statements of the block as one transaction.

        The transaction begins once no other program has locked the file. When the block ends, its
        changes are on the disk. An exception in the block rolls the transaction back. Transactions
        of other threads wait for the end of the block.

        Args:
            give_up_s: the time in seconds after which no further attempt is made to begin the
                transaction (default: that of this file's `LockTimeout`). At least one attempt is
                made.

        Yields:
            A cursor for the statements.

        Raises:
            StorageError: the disk is full, or the file is damaged or stays locked; nothing has
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
        """Return the error to raise when the file's content is invalid."""
        return StorageError(
            f"{self._path} is damaged: {fault}", advice="move it away, or use another state folder"
        )

    def check(self) -> None:
        """Check the whole file for damage.

        Raises:
            StorageError: the file is damaged.
        """
        with self.transaction() as cursor:
            (result,) = cursor.execute("PRAGMA integrity_check(1)").fetchone()
        if result != "ok":
            raise self.damage_error(result)

    def _execute_when_unlocked(self, statement: str, give_up_s: float | None = None) -> None:
        """Execute a statement as soon as no other program has locked the file.

        If the file stays locked for too long, the error of sqlite3 is raised.
        """
        wait_s = self._lock_timeout.give_up_s if give_up_s is None else give_up_s
        deadline_s = time.monotonic() + wait_s
        warned = False
        while True:
            try:
                self._connection.execute(statement)
            except sqlite3.OperationalError as err:
                # The low byte of an extended error code is the primary code.
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
                f"{self._path}: {err}",
                advice="check that the folder can be written and has space, or "
                "use another state folder",
            ) from err

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
