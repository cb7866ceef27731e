"""Records, in the outbox's file, which process wrote which receipts.

Every function runs in a transaction of its caller. The file's sequences rise without gaps as long
as the device exists. Each process that appends begins a *span* with a new id, in which it counts
from 1. The cloud knows the spans as outboxes. A copy of the state folder has the same spans and
receipts up to the time of the copy, and different spans after that time. Two devices therefore
never write under the same id.

Each span has a chain (see `nestling_core.telemetry.receipt_chain`). The chain just before the first
receipt in the file is stored, because the receipts that it was computed from are deleted.
"""

import secrets
import sqlite3
from typing import NamedTuple

from nestling_core.telemetry.receipt_chain import EMPTY_CHAIN, extend

SCHEMA = """
CREATE TABLE receipts (
    sequence INTEGER PRIMARY KEY, fingerprint INTEGER NOT NULL, receipt BLOB NOT NULL
);
CREATE TABLE spans (
    first_sequence INTEGER PRIMARY KEY,
    outbox_id TEXT NOT NULL,
    previous_id TEXT NOT NULL,
    forked INTEGER NOT NULL,
    chain INTEGER NOT NULL,
    ended INTEGER NOT NULL
);
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    last_sequence INTEGER NOT NULL,
    acknowledged INTEGER NOT NULL,
    acknowledged_chain INTEGER NOT NULL,
    front INTEGER NOT NULL
)
"""


class OutboxMarks(NamedTuple):
    """The progress of the outbox: sequence numbers in the file, and chains.

    Attributes:
        acknowledged: the last sequence that the cloud acknowledged, or 0 if there was none.
        acknowledged_chain: the chain up to `acknowledged`, within its span.
        first: the sequence of the first receipt in the file, or `last` + 1 if there is none.
        last: the sequence of the newest receipt ever appended, or 0 if there was none.
        front: the chain just before `first`, within the span of `first`.
    """

    acknowledged: int
    acknowledged_chain: int
    first: int
    last: int
    front: int

    @property
    def depth(self) -> int:
        """The number of receipts in the file."""
        return self.last - self.first + 1


class Span(NamedTuple):
    """A range of receipts that one process wrote.

    Attributes:
        first: the sequence in the file of the span's first receipt.
        last: the sequence in the file of the span's last receipt, or `first` - 1 if the span is
            empty.
        outbox_id: the id under which the cloud stores the span.
        previous_id: the id of the previous span, or "" if there was none.
        forked: whether the span was begun because the cloud held other receipts under the id of the
            previous span.
        chain: the chain of the span up to `last`.
        is_open: whether this is the newest span, so that it may grow.
        has_ended: whether the span's process recorded its own end, so that no copy of the span is
            longer.
    """

    first: int
    last: int
    outbox_id: str
    previous_id: str
    forked: bool
    chain: int
    is_open: bool
    has_ended: bool

    @property
    def base(self) -> int:
        """The difference between a receipt's sequence in the file and its sequence in this span."""
        return self.first - 1


def read_marks(cursor: sqlite3.Cursor) -> OutboxMarks:
    """Return the progress of the outbox."""
    last, acknowledged, acknowledged_chain, front = cursor.execute(
        "SELECT last_sequence, acknowledged, acknowledged_chain, front FROM outbox"
    ).fetchone()
    (first,) = cursor.execute("SELECT min(sequence) FROM receipts").fetchone()
    return OutboxMarks(
        acknowledged, acknowledged_chain, last + 1 if first is None else first, last, front
    )


def read_span(cursor: sqlite3.Cursor, sequence: int, last: int) -> Span | None:
    """Return the span that contains a sequence, or None if nothing was ever written.

    A sequence after the newest receipt counts as part of the newest span.

    Args:
        cursor: the cursor of the transaction.
        sequence: a sequence of the file.
        last: the newest sequence of the file.
    """
    row = cursor.execute(
        "SELECT first_sequence, outbox_id, previous_id, forked, chain, ended FROM spans "
        "WHERE first_sequence <= ? ORDER BY first_sequence DESC LIMIT 1",
        (sequence,),
    ).fetchone()
    if row is None:
        return None
    first, outbox_id, previous_id, forked, chain, ended = row
    (after,) = cursor.execute(
        "SELECT min(first_sequence) FROM spans WHERE first_sequence > ?", (first,)
    ).fetchone()
    end = last if after is None else after - 1
    return Span(first, end, outbox_id, previous_id, bool(forked), chain, after is None, bool(ended))


def begin_span(cursor: sqlite3.Cursor, first: int) -> None:
    """Begin a span with a new id.

    An empty span that begins at the same sequence is deleted first.

    Args:
        cursor: the cursor of the transaction.
        first: the sequence in the file of the receipt that has sequence 1 in the span.
    """
    cursor.execute("DELETE FROM spans WHERE first_sequence = ?", (first,))  # an empty span
    row = cursor.execute(
        "SELECT outbox_id FROM spans ORDER BY first_sequence DESC LIMIT 1"
    ).fetchone()
    cursor.execute(
        "INSERT INTO spans VALUES (?, ?, ?, 0, ?, 0)",
        (first, secrets.token_hex(8), "" if row is None else row[0], EMPTY_CHAIN),
    )


def end_newest(cursor: sqlite3.Cursor) -> None:
    """Record that the process of the newest span has ended and will not write again."""
    cursor.execute(
        "UPDATE spans SET ended = 1 WHERE first_sequence = (SELECT max(first_sequence) FROM spans)"
    )


def extend_newest(cursor: sqlite3.Cursor, fingerprints: list[int]) -> None:
    """Extend the newest span's chain by the fingerprints of appended receipts.

    Args:
        cursor: the cursor of the transaction.
        fingerprints: the fingerprints of the receipts, in order.
    """
    newest, chain = cursor.execute(
        "SELECT first_sequence, chain FROM spans ORDER BY first_sequence DESC LIMIT 1"
    ).fetchone()
    for fingerprint in fingerprints:
        chain = extend(chain, fingerprint)
    cursor.execute("UPDATE spans SET chain = ? WHERE first_sequence = ?", (chain, newest))


def chain_at(cursor: sqlite3.Cursor, marks: OutboxMarks, span: Span, sequence: int) -> int | None:
    """Return a span's chain up to a sequence, or None if it can no longer be computed.

    Args:
        cursor: the cursor of the transaction.
        marks: the progress of the outbox.
        span: the span that contains the sequence.
        sequence: a sequence of the file.
    """
    if sequence == span.last:
        return span.chain
    if sequence == marks.acknowledged:
        return marks.acknowledged_chain
    if sequence < marks.first:
        return marks.front if sequence == marks.first - 1 and sequence >= span.first else None
    return _chain_of_rows(cursor, marks, span, sequence)


def recount(cursor: sqlite3.Cursor, marks: OutboxMarks, span: Span) -> int:
    """Recompute a span's chain from the span's rows, and store and return the new chain.

    Rows that were damaged after they were written may have different fingerprints. Their receipts
    are sent with these fingerprints, so the chain must include them.

    Args:
        cursor: the cursor of the transaction.
        marks: the progress of the outbox.
        span: the span.
    """
    chain = _chain_of_rows(cursor, marks, span, span.last)
    cursor.execute("UPDATE spans SET chain = ? WHERE first_sequence = ?", (chain, span.first))
    return chain


def delete_up_to(cursor: sqlite3.Cursor, marks: OutboxMarks, sequence: int) -> None:
    """Delete the receipts up to a sequence, and the spans that are no longer needed.

    The chain up to the last deleted receipt is stored. A span is no longer needed if the cloud has
    acknowledged all its receipts and a later span exists.

    Args:
        cursor: the cursor of the transaction.
        marks: the progress of the outbox before the deletion.
        sequence: the sequence of the file up to which receipts are deleted.
    """
    if sequence >= marks.first:
        span = read_span(cursor, sequence, marks.last)
        assert span is not None  # because there are receipts
        front = chain_at(cursor, marks, span, sequence)
        cursor.execute("UPDATE outbox SET front = ?", (front,))
        cursor.execute("DELETE FROM receipts WHERE sequence <= ?", (sequence,))
    (acknowledged,) = cursor.execute("SELECT acknowledged FROM outbox").fetchone()
    # The newest span stays, because the next one refers to it as its predecessor.
    cursor.execute(
        "DELETE FROM spans WHERE first_sequence < (SELECT max(first_sequence) FROM spans WHERE "
        "first_sequence <= ?)",
        (acknowledged + 1,),
    )


def fork(cursor: sqlite3.Cursor, marks: OutboxMarks, span: Span) -> None:
    """Move the unacknowledged receipts of a span into a new span, which succeeds the old one.

    Args:
        cursor: the cursor of the transaction.
        marks: the progress of the outbox.
        span: the span that contains the first unacknowledged receipt.
    """
    first = marks.acknowledged + 1
    chain = _fold(cursor, EMPTY_CHAIN, first, span.last)
    outbox_id = secrets.token_hex(8)
    cursor.execute("DELETE FROM spans WHERE first_sequence = ?", (first,))
    cursor.execute(
        "INSERT INTO spans VALUES (?, ?, ?, 1, ?, ?)",
        (first, outbox_id, span.outbox_id, chain, span.has_ended),
    )
    cursor.execute(
        "UPDATE spans SET previous_id = ? WHERE previous_id = ? AND first_sequence > ?",
        (outbox_id, span.outbox_id, first),
    )
    cursor.execute("UPDATE outbox SET acknowledged_chain = ?", (EMPTY_CHAIN,))
    if marks.first <= span.last:  # otherwise the first receipt held belongs to another span
        cursor.execute("UPDATE outbox SET front = ?", (EMPTY_CHAIN,))


def read_receipts(cursor: sqlite3.Cursor, first: int, last: int) -> list[tuple[int, int, bytes]]:
    """Return the receipts in a range of sequences.

    A missing row is inserted again without content, so that it is reported and acknowledged like
    any other unreadable receipt.

    Args:
        cursor: the cursor of the transaction.
        first: the first sequence of the file.
        last: the last sequence of the file.

    Returns:
        The sequence, fingerprint and content of each receipt, in ascending order of sequence.
    """
    query = (
        "SELECT sequence, coalesce(CAST(fingerprint AS INTEGER), 0), "
        "coalesce(CAST(receipt AS BLOB), x'') FROM receipts WHERE sequence BETWEEN ? AND ? "
        "ORDER BY sequence"
    )
    rows = cursor.execute(query, (first, last)).fetchall()
    missing = {*range(first, last + 1)} - {row[0] for row in rows}
    if missing:
        cursor.executemany("INSERT INTO receipts VALUES (?, 0, x'')", [(n,) for n in missing])
        rows = cursor.execute(query, (first, last)).fetchall()
    return rows


def _chain_of_rows(cursor: sqlite3.Cursor, marks: OutboxMarks, span: Span, sequence: int) -> int:
    """Return a span's chain up to a sequence, computed from the rows in the file."""
    begin = max(span.first, marks.first)
    chain = marks.front if begin == marks.first and begin > span.first else EMPTY_CHAIN
    return _fold(cursor, chain, begin, sequence)


def _fold(cursor: sqlite3.Cursor, chain: int, first: int, last: int) -> int:
    """Return a chain extended by the fingerprints of the receipts `first` to `last`."""
    for (fingerprint,) in cursor.execute(
        "SELECT coalesce(CAST(fingerprint AS INTEGER), 0) FROM receipts "
        "WHERE sequence BETWEEN ? AND ? ORDER BY sequence",
        (first, last),
    ):
        chain = extend(chain, fingerprint)
    return chain
