"""The newest receipts, row by row."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from nestling_cloud.store import tables
from nestling_cloud.store.damaged_rows import DamagedRows
from nestling_cloud.store.database import write_all
from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_core.parsing.untrusted import parse_json

_FIELDS = tuple(field.name for field in dataclasses.fields(ReceiptRow))
# The number by arrival, then the fields; JSON as text, so that one that is damaged is told from
# the others.
_COLUMNS = [
    tables.RECEIPTS.c.id,
    *(
        sa.cast(column, sa.Text).label(column.name) if column.name == "success" else column
        for column in (tables.RECEIPTS.c[name] for name in _FIELDS)
    ),
]


def add(connection: sa.Connection, rows: Sequence[ReceiptRow]) -> None:
    """Insert rows; the database refuses one that is there already."""
    # A list of finite numbers is written in JSON as in Python.
    values = [{**vars(row), "success": str(list(row.success))} for row in rows]
    write_all(connection, sa.insert(tables.RECEIPTS), values)


def rows() -> sa.Select[Any]:
    """Begin a query of receipts; `receipts` reads what it finds."""
    return sa.select(*_COLUMNS)


def receipts(found: Iterable[Sequence[Any]], damage: DamagedRows) -> Iterator[ReceiptRow]:
    """Read rows that were found; without those that are damaged."""
    for number, *values in found:
        receipt = _receipt_or_none(number, values, damage)
        if receipt is not None:
            yield receipt


def _receipt_or_none(number: int, found: Sequence[Any], damage: DamagedRows) -> ReceiptRow | None:
    values = dict(zip(_FIELDS, found, strict=True))
    try:
        success = tuple(float(one) for one in parse_json(values["success"]))
    except (ValueError, TypeError) as err:
        damage.add(tables.RECEIPTS.name, number, err)
        return None
    return ReceiptRow(**{**values, "success": success})


def page(
    connection: sa.Connection,
    damage: DamagedRows,
    *conditions: sa.ColumnElement[bool],
    after: int,
    limit: int,
) -> tuple[list[ReceiptRow], int | None]:
    """Receipts in the order of their arrival.

    Args:
        connection: any.
        damage: told of rows that cannot be read, which are left out.
        conditions: which receipts.
        after: number by arrival that the page begins after.
        limit: rows on it.

    Returns:
        The receipts, and the number that the next page begins after; None at the end.
    """
    number = tables.RECEIPTS.c.id
    query = rows().where(number > after, *conditions).order_by(number).limit(limit)
    found = connection.execute(query).all()
    return list(receipts(found, damage)), found[-1].id if found else None
