"""Stores the inputs that the cloud is still to be asked about, in the outbox's file.

Every function runs in a transaction of its caller, which also stores the receipts of these inputs.
Every input therefore gets exactly one follow-up, no matter when the device is killed.
"""

import logging
import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from google.protobuf.message import DecodeError

from nestling.v1.stream_pb2 import PendingInput

_log = logging.getLogger(__name__)

# AUTOINCREMENT: no number is used twice, not even after the newest row was deleted.
SCHEMA = """
CREATE TABLE pending (number INTEGER PRIMARY KEY AUTOINCREMENT, content BLOB NOT NULL)
"""


class Pending(NamedTuple):
    """An input that the cloud is still to be asked about.

    Attributes:
        number: the number of the row.
        content: the input, or None if the row is damaged.
    """

    number: int
    content: PendingInput | None


def add(cursor: sqlite3.Cursor, inputs: Iterable[PendingInput]) -> None:
    """Add inputs to the queue."""
    cursor.executemany(
        "INSERT INTO pending (content) VALUES (?)", [(one.SerializeToString(),) for one in inputs]
    )


def remove(cursor: sqlite3.Cursor, numbers: Iterable[int]) -> None:
    """Remove the inputs in the rows with the given numbers."""
    cursor.executemany("DELETE FROM pending WHERE number = ?", [(number,) for number in numbers])


def read(cursor: sqlite3.Cursor, limit: int) -> list[Pending]:
    """Return the oldest inputs, at most `limit` of them."""
    rows = cursor.execute(
        "SELECT number, CAST(content AS BLOB) FROM pending ORDER BY number LIMIT ?", (limit,)
    ).fetchall()
    return [Pending(number, _parse(content)) for number, content in rows]


def count(cursor: sqlite3.Cursor) -> int:
    """Return the number of inputs in the queue."""
    (found,) = cursor.execute("SELECT count(*) FROM pending").fetchone()
    return int(found)


def _parse(content: bytes) -> PendingInput | None:
    try:
        return PendingInput.FromString(content)
    except (DecodeError, TypeError):
        _log.warning("an input that the cloud was to be asked about is damaged, and dropped")
        return None
