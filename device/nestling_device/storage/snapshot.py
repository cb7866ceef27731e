"""Reads a device's status from its state folder without disturbing a running device."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from google.protobuf.message import DecodeError

from nestling.v1 import receipt_pb2
from nestling_device.storage.database import StorageError


@dataclass(frozen=True, kw_only=True)
class BundleSnapshot:
    """The active bundle, as the state folder records it.

    Attributes:
        version: the name of the bundle.
        task: the task of the bundle.
        release: the number of the release.
        capacity: the largest capacity on the device. The smaller ones are there too.
        sha256: the SHA-256 digest of the manifest.
        size: the size of the manifest, in bytes.
    """

    version: str
    task: str
    release: int
    capacity: int
    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class OutboxSnapshot:
    """The state of the outbox, the device's durable queue of receipts.

    Attributes:
        written: the sequence number of the newest receipt, or 0 before the first.
        acknowledged: the sequence number up to which the cloud has acknowledged all receipts.
        depth: the number of receipts in the outbox.
        pending: the number of answered inputs that the cloud is still to be asked about.
        oldest_ms: the Unix time, in milliseconds, at which the answer of the oldest receipt in the
            outbox was given. It is None if the outbox is empty or that receipt is damaged.
    """

    written: int
    acknowledged: int
    depth: int
    pending: int
    oldest_ms: int | None


def is_running(state_dir: Path) -> bool:
    """Return whether a running device has locked the state folder.

    Raises:
        StorageError: the lock cannot be read.
    """
    try:
        descriptor = os.open(state_dir / "lock", os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError as err:
        raise _unreadable(state_dir / "lock", err) from err
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)  # releases our own lock at once
    return False


def read_bundle(state_dir: Path) -> BundleSnapshot | None:
    """Return the active bundle, or None before the first installation.

    Raises:
        StorageError: the state cannot be read.
    """
    with _reading(state_dir / "state.db") as cursor:
        row = (
            cursor
            and cursor.execute(
                "SELECT version, task, release, capacity, sha256, size FROM bundles "
                "WHERE slot = 'active'"
            ).fetchone()
        )
    if row is None:
        return None
    version, task, release, capacity, sha256, size = row
    return BundleSnapshot(
        version=version, task=task, release=release, capacity=capacity, sha256=sha256, size=size
    )


def read_outbox(state_dir: Path) -> OutboxSnapshot | None:
    """Return the state of the outbox, or None before the first start.

    Raises:
        StorageError: the outbox cannot be read.
    """
    with _reading(state_dir / "outbox.db") as cursor:
        if cursor is None:
            return None
        marks = cursor.execute("SELECT last_sequence, acknowledged FROM outbox").fetchone()
        (depth,) = cursor.execute("SELECT count(*) FROM receipts").fetchone()
        (pending,) = cursor.execute("SELECT count(*) FROM pending").fetchone()
        oldest = cursor.execute("SELECT receipt FROM receipts ORDER BY sequence LIMIT 1").fetchone()
    written, acknowledged = marks or (0, 0)
    return OutboxSnapshot(
        written=written,
        acknowledged=acknowledged,
        depth=depth,
        pending=pending,
        oldest_ms=_answered_at_ms(oldest[0]) if oldest else None,
    )


def _answered_at_ms(data: bytes) -> int | None:
    try:
        return receipt_pb2.Receipt.FromString(data).answered_at_ms
    except (DecodeError, TypeError):  # the row is damaged; the device reports it as lost
        return None


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Cursor | None]:
    """Open a read transaction on a database for the duration of the block.

    Yields:
        A cursor, or None if the file does not exist.
    """
    if not path.exists():
        yield None
        return
    try:
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
        try:
            connection.execute("BEGIN")
            yield connection.cursor()
        finally:
            connection.close()
    except (sqlite3.Error, OSError, UnicodeDecodeError) as err:
        raise _unreadable(path, err) from err


def _unreadable(path: Path, err: Exception) -> StorageError:
    return StorageError(
        f"{path} cannot be read: {err}",
        advice="run this command as the user that the device runs as, for "
        "example with sudo -u nestling",
    )
