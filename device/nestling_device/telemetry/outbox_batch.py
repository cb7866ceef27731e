"""Copies receipts from the outbox into the batches that are sent to the cloud."""

import logging
import sqlite3
from contextlib import suppress
from typing import NamedTuple

from google.protobuf.message import DecodeError

from nestling.v1 import receipt_pb2
from nestling_core.telemetry.receipt_chain import EMPTY_CHAIN, fingerprint
from nestling_device.telemetry import outbox_lineage as lineage
from nestling_device.telemetry.outbox_lineage import OutboxMarks, Span

_log = logging.getLogger(__name__)


class Slice(NamedTuple):
    """Consecutive receipts to send to the cloud.

    Attributes:
        batch: the receipts. Their sequences are numbered within the batch's outbox id.
        first: the first receipt's sequence in the file.
        last: the last receipt's sequence in the file. If there are no receipts, nothing up to this
            sequence remains to be sent.
        depth: the number of receipts in the outbox besides these.
    """

    batch: receipt_pb2.ReceiptBatch
    first: int
    last: int
    depth: int


def begin_batch(cursor: sqlite3.Cursor, marks: OutboxMarks, span: Span) -> receipt_pb2.ReceiptBatch:
    """Return a batch with the outbox's progress and the gap, but without receipts."""
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


def receipt_of(row: tuple[int, int, bytes], span: Span) -> receipt_pb2.Receipt:
    """Return the receipt in a row of the file.

    If the row is damaged, the receipt is marked as unreadable, and contains only its sequence and
    fingerprint.

    Args:
        row: the sequence in the file, the fingerprint of the receipt as written, and the content.
        span: the span of the receipt.
    """
    sequence, written, content = row
    receipt = receipt_pb2.Receipt(unreadable=True)
    if fingerprint(content) == written:
        with suppress(DecodeError):
            receipt = receipt_pb2.Receipt.FromString(content)
    if receipt.unreadable:
        _log.warning("receipt %d is damaged in outbox.db and is reported as lost", sequence)
    receipt.sequence, receipt.fingerprint = sequence - span.base, written
    return receipt
