"""The newest receipts, row by row."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from nestling_cloud.telemetry import tables
from nestling_cloud.telemetry.database import write_all
from nestling_cloud.telemetry.receipts import ReceiptRow

_FIELDS = tuple(field.name for field in dataclasses.fields(ReceiptRow))


def add(connection: sa.Connection, rows: Sequence[ReceiptRow]) -> None:
    """Insert rows; the database refuses one that is there already."""
    # A list of finite numbers is written in JSON as in Python.
    values = [{**vars(row), "success": str(list(row.success))} for row in rows]
    write_all(connection, sa.insert(tables.RECEIPTS), values)


def rows() -> sa.Select[Any]:
    """Begin a query of receipts; `row_of` reads what it finds."""
    return sa.select(*(tables.RECEIPTS.c[name] for name in _FIELDS))


def row_of(found: Sequence[Any]) -> ReceiptRow:
    """Receipt of a row that was found."""
    values = dict(zip(_FIELDS, found, strict=True))
    return ReceiptRow(**{**values, "success": tuple(values["success"])})


def page(
    connection: sa.Connection,
    *conditions: sa.ColumnElement[bool],
    after: int,
    limit: int,
) -> list[tuple[int, ReceiptRow]]:
    """Receipts with their number by arrival, in that order.

    Args:
        connection: any.
        conditions: which receipts.
        after: number that the page begins after.
        limit: receipts on it.
    """
    number = tables.RECEIPTS.c.id
    query = rows().add_columns(number).where(number > after, *conditions)
    found = connection.execute(query.order_by(number).limit(limit))
    return [(row.id, row_of(row[:-1])) for row in found]
