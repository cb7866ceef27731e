"""Stores the device's receipts in a durable queue, with the inputs to ask the cloud about later.

Receipts are numbered from 1 without gaps, and the queue always contains one contiguous range of
them: the cloud acknowledges from the front, and a full outbox drops from the front. The dropped
receipts are therefore exactly those between the last acknowledged receipt and the first one in the
queue, and need no separate record.

A state folder may be copied, for example with a cloned SD card or a restored backup, even while the
device runs. Every process that appends receipts therefore uses a new outbox id (`outbox_lineage`).
Each acknowledgement contains a chain, a number computed from all receipts up to a sequence
(`nestling_core.telemetry.receipt_chain`). Receipts are deleted only if the chain shows that the
cloud stored exactly these receipts. If the cloud nevertheless holds other receipts under the same
id and sequences, everything unacknowledged is sent again under another id.
"""

import logging
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path

from google.protobuf.message import DecodeError

from nestling.v1 import receipt_pb2
from nestling.v1.stream_pb2 import PendingInput, StreamState
from nestling_core.closing import Closing
from nestling_core.telemetry.receipt_chain import EMPTY_CHAIN, fingerprint
from nestling_device.storage.database import Database, LockTimeout, StorageError
from nestling_device.telemetry import outbox_lineage as lineage
from nestling_device.telemetry import pending_inputs
from nestling_device.telemetry.outbox_batch import Slice, begin_batch, receipt_of
from nestling_device.telemetry.outbox_lineage import OutboxMarks, Span
from nestling_device.telemetry.pending_inputs import Pending

_log = logging.getLogger(__name__)

_SCHEMA = f"""{lineage.SCHEMA};
{pending_inputs.SCHEMA};
CREATE TABLE stream (id INTEGER PRIMARY KEY CHECK (id = 1), state BLOB NOT NULL)
"""


class AcknowledgementEffect(Enum):
    """The effect of an acknowledgement on the outbox."""

    SETTLED = "settled"  # the acknowledged receipts were deleted
    IGNORED = "ignored"  # the acknowledgement is old, or for another outbox
    FORKED = "forked"  # the cloud has other receipts under this outbox's sequences


class Outbox(Closing):
    """The receipts that the cloud has not acknowledged yet.

    They survive a kill and a power cut. The outbox is thread-safe. Every method but `close` raises
    StorageError if the file is damaged or stays locked, or if the disk is full.
    """

    def __init__(
        self, folder: Path, *, capacity: int = 100_000, lock_timeout: LockTimeout | None = None
    ) -> None:
        """Open `folder`/outbox.db.

        Args:
            folder: the device's state folder.
            capacity: the largest number of receipts to keep. If there are more, the oldest are
                dropped and reported as a gap.
            lock_timeout: the longest time to wait while another program has locked the file
                (default: `LockTimeout()`).

        Raises:
            ValueError: `capacity` is not positive.
            StorageError: the folder cannot be used; the message says what to do.
        """
        if capacity < 1:
            raise ValueError(f"an outbox needs a capacity of at least 1, not {capacity}")
        self._capacity = capacity
        self._began = False  # whether this process has begun its own span
        self._database = Database(
            folder / "outbox.db", schema=_SCHEMA, version=5, lock_timeout=lock_timeout
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

    def marks(self) -> OutboxMarks:
        """Return the progress of the outbox, as sequences in the file."""
        with self._database.transaction() as cursor:
            return lineage.read_marks(cursor)

    def stream_state(self) -> StreamState | None:
        """Return the state of the stream after the newest receipt, or None if there is none.

        If the state cannot be read, the result is None too.
        """
        with self._database.transaction() as cursor:
            row = cursor.execute("SELECT state FROM stream").fetchone()
        try:
            return None if row is None else StreamState.FromString(row[0])
        except (DecodeError, TypeError):
            _log.warning("the state of the stream is damaged; the device starts without a belief")
            return None

    def pending(self, limit: int) -> list[Pending]:
        """Return the oldest inputs that the cloud is still to be asked about.

        Args:
            limit: the largest number of inputs to return.
        """
        with self._database.transaction() as cursor:
            return pending_inputs.read(cursor, limit)

    def pending_count(self) -> int:
        """Return the number of inputs that the cloud is still to be asked about."""
        with self._database.transaction() as cursor:
            return pending_inputs.count(cursor)

    def append(
        self,
        *receipts: receipt_pb2.Receipt,
        stream_state: StreamState | None = None,
        added: Sequence[PendingInput] = (),
        removed: Sequence[int] = (),
    ) -> int:
        """Append receipts, which survive a kill and a power cut once this returns.

        The disk is flushed only once for everything. If the outbox then holds more receipts than
        its capacity, the oldest are dropped.

        Args:
            receipts: the receipts. Their field `sequence` is not changed.
            stream_state: the state of the stream after these receipts, which replaces the earlier
                one, or None to keep the earlier one.
            added: inputs that the cloud is still to be asked about.
            removed: the numbers of inputs that the cloud need not be asked about any more.

        Returns:
            The sequence of the last receipt.

        Raises:
            StorageError: the disk is full or broken; none of the receipts is in the outbox.
        """
        contents = [receipt.SerializeToString() for receipt in receipts]
        fingerprints = [fingerprint(content) for content in contents]
        with self._database.transaction() as cursor:
            first = lineage.read_marks(cursor).last + 1
            last = first + len(contents) - 1
            pending_inputs.remove(cursor, removed)
            pending_inputs.add(cursor, added)
            if contents and not self._began:
                lineage.begin_span(cursor, first)
            cursor.executemany(
                "INSERT INTO receipts VALUES (?, ?, ?)",
                zip(range(first, last + 1), fingerprints, contents, strict=True),
            )
            cursor.execute("UPDATE outbox SET last_sequence = ?", (last,))
            if stream_state is not None:
                cursor.execute(
                    "INSERT OR REPLACE INTO stream VALUES (1, ?)",
                    (stream_state.SerializeToString(),),
                )
            if contents:
                lineage.extend_newest(cursor, fingerprints)
                lineage.delete_up_to(cursor, lineage.read_marks(cursor), last - self._capacity)
        self._began = self._began or bool(contents)
        return last

    def batch(self, limit: int, *, after: int = 0) -> Slice:
        """Return the oldest receipts after a sequence, copied into a batch.

        If receipts that the cloud has not acknowledged were dropped, the batch reports them as a
        gap. All receipts come from one span (the receipts that one process wrote), so there may be
        fewer than `limit` although more are waiting. A receipt whose row is damaged is marked as
        unreadable.

        Args:
            limit: the largest number of receipts in the batch.
            after: the sequence in the file after which receipts are included. Acknowledged receipts
                are left out in any case.
        """
        with self._database.transaction() as cursor:
            marks = lineage.read_marks(cursor)
            after = max(after, marks.acknowledged)
            span = lineage.read_span(cursor, after + 1, marks.last)
            if span is None:
                return Slice(receipt_pb2.ReceiptBatch(), after + 1, after, marks.depth)
            first = max(after + 1, marks.first)
            last = min(first + limit - 1, span.last)
            rows = lineage.read_receipts(cursor, first, last)
            batch = begin_batch(cursor, marks, span)
        batch.receipts.extend(receipt_of(row, span) for row in rows)
        last = rows[-1][0] if rows else span.last
        return Slice(batch, first, last, marks.depth - len(rows))

    def acknowledge(
        self, acknowledgement: receipt_pb2.OutboxAcknowledgement
    ) -> AcknowledgementEffect:
        """Delete the acknowledged receipts if the cloud stored exactly the receipts written here.

        Returns:
            The effect. After FORKED, everything that the cloud has not acknowledged is sent under
            another outbox id.
        """
        with self._database.transaction() as cursor:
            marks = lineage.read_marks(cursor)
            span = lineage.read_span(cursor, marks.acknowledged + 1, marks.last)
            if span is None or acknowledgement.outbox_id != span.outbox_id:
                return AcknowledgementEffect.IGNORED
            sequence, chain = span.base + acknowledgement.sequence, acknowledgement.chain
            if sequence > span.last and not self._is_complete(span):
                # A copy of this folder continued the span; this file has only its beginning.
                sequence, chain = span.last, span.chain
            if sequence <= marks.acknowledged:
                return AcknowledgementEffect.IGNORED
            if sequence > span.last or not _agrees(cursor, marks, span, sequence, chain):
                lineage.fork(cursor, marks, span)
                return AcknowledgementEffect.FORKED
            cursor.execute(
                "UPDATE outbox SET acknowledged = ?, acknowledged_chain = ?", (sequence, chain)
            )
            lineage.delete_up_to(cursor, marks, sequence)
        return AcknowledgementEffect.SETTLED

    def _is_complete(self, span: Span) -> bool:
        """Return whether no copy of this file can contain further receipts of the span."""
        return span.has_ended or (span.is_open and self._began)

    def close(self) -> None:
        """Close the file.

        If this process has appended receipts, the file first records that the process has ended,
        unless another program has locked the file.
        """
        if self._began:
            with suppress(StorageError), self._database.transaction(give_up_s=0) as cursor:
                lineage.end_newest(cursor)
            self._began = False
        self._database.close()


def _agrees(
    cursor: sqlite3.Cursor, marks: OutboxMarks, span: Span, sequence: int, chain: int
) -> bool:
    """Return whether the cloud stored the receipts that were written here, up to a sequence.

    The result is also True if this can no longer be checked. If the sequence is the last of the
    span and the stored chain differs from the cloud's, rows may have been damaged after they were
    written. The chain is then computed again from the rows and stored.

    Args:
        cursor: the cursor of the transaction.
        marks: the progress of the outbox.
        span: the span that contains the sequence.
        sequence: a sequence of the file.
        chain: the cloud's chain up to that sequence.
    """
    own = lineage.chain_at(cursor, marks, span, sequence)
    if own is None or own == chain:
        return True
    return sequence == span.last and lineage.recount(cursor, marks, span) == chain
