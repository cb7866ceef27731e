"""How a device stands, read from its state folder without disturbing it, running or not."""

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
    """The bundle that runs.

    Attributes:
        version: its name.
        task: what it answers.
        release: its number.
        capacity: capacities 1 to this are on the device.
        sha256: of its manifest.
        size: of its manifest, bytes.
    """

    version: str
    task: str
    release: int
    capacity: int
    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class OutboxSnapshot:
    """The queue of receipts.

    Attributes:
        written: sequence of the newest receipt, 0 before the first.
        acknowledged: up to here the cloud has everything.
        depth: receipts that wait.
        oldest_ms: Unix time of the oldest that waits, milliseconds; None if none does.
        newest_ms: of the newest that waits.
    """

    written: int
    acknowledged: int
    depth: int
    oldest_ms: int | None
    newest_ms: int | None


def is_running(state_dir: Path) -> bool:
    """Whether a device has claimed the state folder.

    Raises:
        StorageError: the claim cannot be looked at.
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
        os.close(descriptor)  # lets go at once
    return False


def read_bundle(state_dir: Path) -> BundleSnapshot | None:
    """Tell which bundle is active, None before the first installation.

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
    """Tell how full the outbox is, None before the first start.

    Raises:
        StorageError: the outbox cannot be read.
    """
    with _reading(state_dir / "outbox.db") as cursor:
        if cursor is None:
            return None
        marks = cursor.execute("SELECT last_sequence, acknowledged FROM outbox").fetchone()
        depth, first, last = cursor.execute(
            "SELECT count(*), min(sequence), max(sequence) FROM receipts"
        ).fetchone()
        times = {
            sequence: _answered_at_ms(data)
            for sequence, data in cursor.execute(
                "SELECT sequence, receipt FROM receipts WHERE sequence IN (?, ?)", (first, last)
            )
        }
    written, acknowledged = marks or (0, 0)
    return OutboxSnapshot(
        written=written,
        acknowledged=acknowledged,
        depth=depth,
        oldest_ms=times.get(first),
        newest_ms=times.get(last),
    )


def _answered_at_ms(data: bytes) -> int | None:
    try:
        return receipt_pb2.Receipt.FromString(data).answered_at_ms
    except (DecodeError, TypeError):  # a damaged row, which the device reports as lost
        return None


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Cursor | None]:
    """Read a database in one transaction; None where there is none."""
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
        f"{path} cannot be read: {err}; ask as the user that the device runs as, for example with "
        "sudo -u nestling"
    )
