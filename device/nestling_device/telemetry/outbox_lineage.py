"""Tracks which process wrote which receipts, in rows of the outbox's file.

Every function runs within a transaction of the caller's. Sequences of the file rise without holes
as long as the device lives. Each process that appends begins a *span* with an id of its own, and
counts from 1 in it; the cloud knows the spans as outboxes. A copy of the state folder has the same
spans up to the copy, with the same receipts in them, and then others: two devices never write under
one id.

A span has a chain (`nestling_core.telemetry.receipt_chain`), and the chain at the front of what is
held is kept: receipts before it are gone, so it could not be computed again.
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
    """How far the outbox has come, in sequences of the file."""

    acknowledged: int
    acknowledged_chain: int  # within the span of `acknowledged`
    first: int  # of the receipts held; last + 1 if there are none
    last: int
    front: int  # chain just before `first`, within the span of `first`


class Span(NamedTuple):
    """Receipts that one process wrote."""

    first: int
    last: int
    outbox_id: str
    previous_id: str
    forked: bool
    chain: int  # up to `last`
    is_open: bool  # the newest one: more may come
    has_ended: bool  # its process noted that it writes no more, so no copy of it is longer

    @property
    def base(self) -> int:
        """Difference between a sequence of the file and the same one within this span."""
        return self.first - 1


def read_marks(cursor: sqlite3.Cursor) -> OutboxMarks:
    """Read how far the outbox has come."""
    last, acknowledged, acknowledged_chain, front = cursor.execute(
        "SELECT last_sequence, acknowledged, acknowledged_chain, front FROM outbox"
    ).fetchone()
    (first,) = cursor.execute("SELECT min(sequence) FROM receipts").fetchone()
    return OutboxMarks(
        acknowledged, acknowledged_chain, last + 1 if first is None else first, last, front
    )


def read_span(cursor: sqlite3.Cursor, sequence: int, last: int) -> Span | None:
    """Find the span that a sequence lies in, None where nothing was ever written.

    Args:
        cursor: within a transaction.
        sequence: of the file.
        last: newest sequence of the file.
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
    """Number receipts from 1 under a new id, beginning with the sequence `first` of the file."""
    cursor.execute("DELETE FROM spans WHERE first_sequence = ?", (first,))  # nothing is in it
    row = cursor.execute(
        "SELECT outbox_id FROM spans ORDER BY first_sequence DESC LIMIT 1"
    ).fetchone()
    cursor.execute(
        "INSERT INTO spans VALUES (?, ?, ?, 0, ?, 0)",
        (first, _new_id(), "" if row is None else row[0], EMPTY_CHAIN),
    )


def end_newest(cursor: sqlite3.Cursor) -> None:
    """Note that the process that wrote the newest span writes no more."""
    cursor.execute(
        "UPDATE spans SET ended = 1 WHERE first_sequence = (SELECT max(first_sequence) FROM spans)"
    )


def extend_newest(cursor: sqlite3.Cursor, fingerprints: list[int]) -> None:
    """Extend the newest span's chain by receipts that were appended."""
    newest, chain = cursor.execute(
        "SELECT first_sequence, chain FROM spans ORDER BY first_sequence DESC LIMIT 1"
    ).fetchone()
    for fingerprint in fingerprints:
        chain = extend(chain, fingerprint)
    cursor.execute("UPDATE spans SET chain = ? WHERE first_sequence = ?", (chain, newest))


def chain_at(cursor: sqlite3.Cursor, marks: OutboxMarks, span: Span, sequence: int) -> int | None:
    """Compute a span's chain up to a sequence, None where that receipt is not held any more.

    Args:
        cursor: within a transaction.
        marks: of the outbox.
        span: that the sequence lies in.
        sequence: of the file.
    """
    if sequence == span.last:
        return span.chain
    if sequence == marks.acknowledged:
        return marks.acknowledged_chain
    if sequence < marks.first:
        return marks.front if sequence == marks.first - 1 and sequence >= span.first else None
    return _chain_of_rows(cursor, marks, span, sequence)


def recount(cursor: sqlite3.Cursor, marks: OutboxMarks, span: Span) -> int:
    """Compute a span's chain again from the rows that are there, and store it.

    Rows that were damaged after they were written have other fingerprints, and are sent with them.
    """
    chain = _chain_of_rows(cursor, marks, span, span.last)
    cursor.execute("UPDATE spans SET chain = ? WHERE first_sequence = ?", (chain, span.first))
    return chain


def forget(cursor: sqlite3.Cursor, marks: OutboxMarks, sequence: int) -> None:
    """Delete receipts up to a sequence, and the spans that are not needed any more."""
    if sequence >= marks.first:
        span = read_span(cursor, sequence, marks.last)
        assert span is not None  # there are receipts
        front = chain_at(cursor, marks, span, sequence)
        cursor.execute("UPDATE outbox SET front = ?", (front,))
        cursor.execute("DELETE FROM receipts WHERE sequence <= ?", (sequence,))
    (acknowledged,) = cursor.execute("SELECT acknowledged FROM outbox").fetchone()
    # The newest is needed: the next one names it as the one before.
    cursor.execute(
        "DELETE FROM spans WHERE first_sequence < (SELECT max(first_sequence) FROM spans WHERE "
        "first_sequence <= ?)",
        (acknowledged + 1,),
    )


def fork(cursor: sqlite3.Cursor, marks: OutboxMarks, span: Span) -> None:
    """Number what is not acknowledged of a span from 1 under a new id, which follows the old."""
    first = marks.acknowledged + 1
    chain = _fold(cursor, EMPTY_CHAIN, first, span.last)
    outbox_id = _new_id()
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
    if marks.first <= span.last:  # otherwise the first receipt held is another span's
        cursor.execute("UPDATE outbox SET front = ?", (EMPTY_CHAIN,))


def read_receipts(cursor: sqlite3.Cursor, first: int, last: int) -> list[tuple[int, int, bytes]]:
    """Read sequence, fingerprint and content of receipts.

    A row that is missing is written again without content, and so reported and settled like any
    receipt that cannot be read.
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
    """Compute a span's chain up to a sequence from the rows that are held."""
    begin = max(span.first, marks.first)
    chain = marks.front if begin == marks.first and begin > span.first else EMPTY_CHAIN
    return _fold(cursor, chain, begin, sequence)


def _fold(cursor: sqlite3.Cursor, chain: int, first: int, last: int) -> int:
    """Extend a chain by the receipts `first` to `last`."""
    for (fingerprint,) in cursor.execute(
        "SELECT coalesce(CAST(fingerprint AS INTEGER), 0) FROM receipts "
        "WHERE sequence BETWEEN ? AND ? ORDER BY sequence",
        (first, last),
    ):
        chain = extend(chain, fingerprint)
    return chain


def _new_id() -> str:
    """Make a unique outbox id."""
    return secrets.token_hex(8)
