"""The device's durable queue of receipts.

Receipts are numbered from 1 without holes. The queue always holds one unbroken run of them: the
cloud acknowledges from the front, and a full outbox drops from the front. So what was dropped is
exactly what lies between the last acknowledged receipt and the first one held, and needs no
book-keeping of its own.

State folders get copied: a cloned SD card, a backup that is put back, a copy made while the device
runs. So every process that appends does so under an outbox id of its own (`outbox_lineage`), and
deletes receipts only on an acknowledgement whose chain shows that the cloud stored these very
receipts (`nestling_core.telemetry.receipt_chain`). Should the cloud still hold others under the
same id and numbers, what is not acknowledged is sent again under another id.
"""

import logging
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from google.protobuf.message import DecodeError

from nestling.v1 import receipt_pb2
from nestling_core.telemetry.receipt_chain import EMPTY_CHAIN, fingerprint
from nestling_device.storage.database import Database, LockTimeout, StorageError
from nestling_device.telemetry import outbox_lineage as lineage
from nestling_device.telemetry.outbox_lineage import OutboxMarks, Span

_log = logging.getLogger(__name__)


class Slice(NamedTuple):
    """Receipts on their way to the cloud.

    `first` and `last` are sequences of this device; those in the batch count within its outbox.
    """

    batch: receipt_pb2.ReceiptBatch
    first: int
    last: int


class AcknowledgementEffect(Enum):
    """What an acknowledgement did to the outbox."""

    SETTLED = "settled"  # receipts were deleted
    IGNORED = "ignored"  # it is old, or another outbox's
    FORKED = "forked"  # the cloud has other receipts under this outbox's numbers


class Outbox:
    """Receipts that the cloud has not acknowledged yet, safe from kill -9; for any thread."""

    def __init__(
        self, folder: Path, *, capacity: int = 100_000, patience: LockTimeout | None = None
    ) -> None:
        """Open `folder`/outbox.db.

        Args:
            folder: the device's state folder.
            capacity: most receipts held; beyond it the oldest are dropped and reported as a gap.
            patience: with another program that holds the file locked; None for the usual one.

        Raises:
            ValueError: `capacity` is not positive.
            StorageError: the folder cannot be used; the message says what to do.
        """
        if capacity < 1:
            raise ValueError(f"an outbox needs a capacity of at least 1, not {capacity}")
        self._capacity = capacity
        self._began = False  # whether this process has a span of its own
        self._database = Database(
            folder / "outbox.db", schema=lineage.SCHEMA, version=3, patience=patience
        )
        try:
            with self._database.transaction() as cursor:
                cursor.execute(
                    "INSERT OR IGNORE INTO outbox VALUES (1, 0, 0, ?, ?)",
                    (EMPTY_CHAIN, EMPTY_CHAIN),
                )
        except BaseException:
            self._database.close()
            raise

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
        contents = [receipt.SerializeToString() for receipt in receipts]
        fingerprints = [fingerprint(content) for content in contents]
        with self._database.transaction() as cursor:
            last = lineage.read_marks(cursor).last
            sequences = range(last + 1, last + 1 + len(contents))
            if not contents:
                return sequences
            if not self._began:
                lineage.begin_span(cursor, last + 1)
            cursor.executemany(
                "INSERT INTO receipts VALUES (?, ?, ?)",
                zip(sequences, fingerprints, contents, strict=True),
            )
            cursor.execute("UPDATE outbox SET last_sequence = ?", (sequences[-1],))
            lineage.extend_newest(cursor, fingerprints)
            marks = lineage.read_marks(cursor)
            lineage.forget(cursor, marks, marks.last - self._capacity)
        self._began = True
        return sequences

    def batch(self, limit: int, *, after: int = 0) -> Slice:
        """Take a copy of the oldest receipts beyond a sequence, and of the gap before them all.

        All come from one span, so there may be fewer than `limit` although more are waiting. A
        receipt whose row is damaged is marked as unreadable.

        Args:
            limit: most receipts.
            after: take receipts with a larger sequence only.
        """
        with self._database.transaction() as cursor:
            marks = lineage.read_marks(cursor)
            after = max(after, marks.acknowledged)
            span = lineage.read_span(cursor, after + 1, marks.last)
            if span is None:
                return Slice(receipt_pb2.ReceiptBatch(), after + 1, after)
            first = max(after + 1, marks.first)
            last = min(first + limit - 1, span.last)
            rows = lineage.read_receipts(cursor, first, last)
            batch = _begin_batch(cursor, marks, span)
        batch.receipts.extend(_receipt(row, span) for row in rows)
        return Slice(batch, first, rows[-1][0] if rows else span.last)

    def acknowledge(
        self, acknowledgement: receipt_pb2.OutboxAcknowledgement
    ) -> AcknowledgementEffect:
        """Delete the receipts that the cloud has stored, if they are those that were written here.

        Returns:
            FORKED if the cloud has other receipts under these numbers: what it has not
            acknowledged is sent under another outbox id from now on.
        """
        with self._database.transaction() as cursor:
            marks = lineage.read_marks(cursor)
            span = lineage.read_span(cursor, marks.acknowledged + 1, marks.last)
            if span is None or acknowledgement.outbox_id != span.outbox_id:
                return AcknowledgementEffect.IGNORED
            sequence, chain = span.base + acknowledgement.sequence, acknowledgement.chain
            if sequence > span.last and not self._is_complete(span):
                # A copy of this folder went on with this span; here is only its beginning.
                sequence, chain = span.last, span.chain
            if sequence <= marks.acknowledged:
                return AcknowledgementEffect.IGNORED
            if sequence > span.last or not _agrees(cursor, marks, span, sequence, chain):
                lineage.fork(cursor, marks, span)
                return AcknowledgementEffect.FORKED
            cursor.execute(
                "UPDATE outbox SET acknowledged = ?, acknowledged_chain = ?", (sequence, chain)
            )
            lineage.forget(cursor, marks, sequence)
        return AcknowledgementEffect.SETTLED

    def _is_complete(self, span: Span) -> bool:
        """Whether all of a span is here: nobody but its process wrote it, or will."""
        return span.has_ended or (span.is_open and self._began)

    def _read_marks(self) -> OutboxMarks:
        with self._database.transaction() as cursor:
            return lineage.read_marks(cursor)

    def close(self) -> None:
        """Note that this process writes no more, unless the file is locked, and close the file."""
        if self._began:
            with suppress(StorageError), self._database.transaction(give_up_s=0) as cursor:
                lineage.end_newest(cursor)
            self._began = False
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


def _agrees(
    cursor: sqlite3.Cursor, marks: OutboxMarks, span: Span, sequence: int, chain: int
) -> bool:
    """Whether the cloud stored what was written here, or that cannot be told any more."""
    own = lineage.chain_at(cursor, marks, span, sequence)
    if own is None or own == chain:
        return True
    return sequence == span.last and lineage.recount(cursor, marks, span) == chain


def _begin_batch(
    cursor: sqlite3.Cursor, marks: OutboxMarks, span: Span
) -> receipt_pb2.ReceiptBatch:
    """Make a batch without its receipts: which outbox it is from, and what was dropped."""
    settled = max(marks.acknowledged, span.base)
    batch = receipt_pb2.ReceiptBatch(
        outbox_id=span.outbox_id,
        acknowledged_sequence=settled - span.base,
        acknowledged_chain=marks.acknowledged_chain if settled > span.base else EMPTY_CHAIN,
        previous_outbox_id=span.previous_id,
        forked=span.forked,
    )
    dropped = min(marks.first - 1, span.last)
    if dropped > settled:
        batch.gaps.add(
            first_sequence=settled + 1 - span.base,
            last_sequence=dropped - span.base,
            chain=lineage.chain_at(cursor, marks, span, dropped),
        )
    return batch


def _receipt(row: tuple[int, int, bytes], span: Span) -> receipt_pb2.Receipt:
    """Parse a row; a damaged one becomes a receipt that is marked as unreadable."""
    sequence, written, content = row
    receipt = receipt_pb2.Receipt(unreadable=True)
    if fingerprint(content) == written:
        with suppress(DecodeError):
            receipt = receipt_pb2.Receipt.FromString(content)
    if receipt.unreadable:
        _log.warning("receipt %d is damaged in outbox.db and reported as lost", sequence)
    receipt.sequence, receipt.fingerprint = sequence - span.base, written
    return receipt
