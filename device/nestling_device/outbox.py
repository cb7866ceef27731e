"""The device's durable queue of receipts.

Receipts are numbered from 1 without holes. The queue always holds one unbroken run of them: the
cloud acknowledges from the front, and a full outbox drops from the front. So what was dropped is
exactly what lies between the last acknowledged receipt and the first one held, and needs no
book-keeping of its own.

A state folder that comes back from a copy (a restored SD card) numbers new receipts as the cloud
has already numbered others, and the cloud would take them for repetitions. It shows when the cloud
acknowledges what was never written here. The outbox then takes a new id and numbers what it holds
from 1 again: what the copy held unacknowledged may reach the store a second time, under the new
id, but nothing is lost from then on and the outbox does not get stuck.
"""

import secrets
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from nestling.v1 import receipt_pb2
from nestling_device.database import Database

_SCHEMA = """
CREATE TABLE receipts (sequence INTEGER PRIMARY KEY, receipt BLOB NOT NULL);
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    outbox_id TEXT NOT NULL,
    last_sequence INTEGER NOT NULL,
    acknowledged INTEGER NOT NULL
)
"""


class _Marks(NamedTuple):
    acknowledged: int
    first: int  # of the receipts held; last + 1 if there are none
    last: int


class Outbox:
    """Receipts that the cloud has not acknowledged yet, safe from kill -9; for any thread."""

    def __init__(self, folder: Path, *, capacity: int = 100_000) -> None:
        """Open `folder`/outbox.db.

        Args:
            folder: the device's state folder.
            capacity: most receipts held; beyond it the oldest are dropped and reported as a gap.

        Raises:
            ValueError: `capacity` is not positive.
            StorageError: the folder cannot be used; the message says what to do.
        """
        if capacity < 1:
            raise ValueError(f"an outbox needs a capacity of at least 1, not {capacity}")
        self._capacity = capacity
        self._database = Database(folder / "outbox.db", schema=_SCHEMA, version=1)
        with self._database.transaction() as cursor:
            cursor.execute("INSERT OR IGNORE INTO outbox VALUES (1, ?, 0, 0)", (_new_id(),))
            (self._outbox_id,) = cursor.execute("SELECT outbox_id FROM outbox").fetchone()

    @property
    def outbox_id(self) -> str:
        """Made with the outbox, so that a wiped device does not repeat sequences."""
        return str(self._outbox_id)

    @property
    def depth(self) -> int:
        """Number of receipts held."""
        marks = self._read_marks()
        return marks.last - marks.first + 1

    @property
    def last_sequence(self) -> int:
        """Sequence of the newest receipt ever appended, 0 if there was none."""
        return self._read_marks().last

    @property
    def acknowledged(self) -> int:
        """Sequence up to which the cloud has everything, 0 at first."""
        return self._read_marks().acknowledged

    def append(self, receipt: receipt_pb2.Receipt) -> int:
        """Keep one receipt; once this returns it survives a kill and a power cut.

        Returns:
            The receipt's sequence; `receipt.sequence` itself is left alone.

        Raises:
            StorageError: the disk is full or broken; the receipt is not kept.
        """
        return self.append_many([receipt])[0]

    def append_many(self, receipts: Sequence[receipt_pb2.Receipt]) -> range:
        """Keep several receipts in one transaction, which costs the disk as much as one.

        Returns:
            Their sequences.

        Raises:
            StorageError: the disk is full or broken; none of the receipts is kept.
        """
        with self._database.transaction() as cursor:
            last = _marks(cursor).last
            sequences = range(last + 1, last + 1 + len(receipts))
            cursor.executemany(
                "INSERT INTO receipts VALUES (?, ?)",
                (
                    (sequence, receipt.SerializeToString())
                    for sequence, receipt in zip(sequences, receipts, strict=True)
                ),
            )
            last += len(receipts)
            cursor.execute("UPDATE outbox SET last_sequence = ?", (last,))
            cursor.execute("DELETE FROM receipts WHERE sequence <= ?", (last - self._capacity,))
        return sequences

    def batch(self, limit: int, *, after: int = 0) -> receipt_pb2.ReceiptBatch:
        """Take a copy of the oldest receipts beyond a sequence, and of the gap before them all.

        Args:
            limit: most receipts.
            after: take receipts with a larger sequence only.
        """
        with self._database.transaction() as cursor:
            marks = _marks(cursor)
            rows = cursor.execute(
                "SELECT sequence, receipt FROM receipts WHERE sequence > ? "
                "ORDER BY sequence LIMIT ?",
                (after, limit),
            ).fetchall()
            batch = receipt_pb2.ReceiptBatch(
                outbox_id=self.outbox_id, acknowledged_sequence=marks.acknowledged
            )
        batch.receipts.extend(_numbered(data, sequence) for sequence, data in rows)
        if marks.first > marks.acknowledged + 1:
            batch.gaps.add(first_sequence=marks.acknowledged + 1, last_sequence=marks.first - 1)
        return batch

    def acknowledge(self, acknowledgement: receipt_pb2.OutboxAcknowledgement) -> bool:
        """Let go of what the cloud has.

        An acknowledgement of receipts that were never written here makes this another outbox:
        `outbox_id` changes, and what is held is numbered from 1 (see the module).

        Returns:
            Whether receipts were let go: False for another outbox's acknowledgement, an old one,
            and one of receipts that were never written.
        """
        with self._database.transaction() as cursor:
            marks = _marks(cursor)
            if acknowledgement.outbox_id != self.outbox_id:
                return False
            if acknowledgement.sequence > marks.last:
                self._outbox_id = _begin_again(cursor, marks)
                return False
            if acknowledgement.sequence <= marks.acknowledged:
                return False
            cursor.execute("UPDATE outbox SET acknowledged = ?", (acknowledgement.sequence,))
            cursor.execute("DELETE FROM receipts WHERE sequence <= ?", (acknowledgement.sequence,))
        return True

    def _read_marks(self) -> _Marks:
        with self._database.transaction() as cursor:
            return _marks(cursor)

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _marks(cursor: sqlite3.Cursor) -> _Marks:
    last, acknowledged = cursor.execute("SELECT last_sequence, acknowledged FROM outbox").fetchone()
    (first,) = cursor.execute("SELECT min(sequence) FROM receipts").fetchone()
    return _Marks(acknowledged, last + 1 if first is None else first, last)


def _numbered(data: bytes, sequence: int) -> receipt_pb2.Receipt:
    receipt = receipt_pb2.Receipt.FromString(data)
    receipt.sequence = sequence
    return receipt


def _begin_again(cursor: sqlite3.Cursor, marks: _Marks) -> str:
    """Number the receipts held, and those dropped before them, from 1 under a new id."""
    outbox_id = _new_id()
    # By way of negative numbers, so that no two receipts have the same one meanwhile.
    cursor.execute("UPDATE receipts SET sequence = -sequence")
    cursor.execute("UPDATE receipts SET sequence = -sequence - ?", (marks.acknowledged,))
    cursor.execute(
        "UPDATE outbox SET outbox_id = ?, last_sequence = ?, acknowledged = 0",
        (outbox_id, marks.last - marks.acknowledged),
    )
    return outbox_id


def _new_id() -> str:
    return secrets.token_hex(8)
