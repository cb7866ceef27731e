"""Writes and reads individual receipts, as opposed to rollups.

The store keeps only a limited number of the newest receipts.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from nestling_cloud.store import tables
from nestling_cloud.store.damaged_rows import DamagedRows
from nestling_cloud.store.database import write_all
from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_core.parsing.untrusted_data import parse_json

_FIELDS = tuple(field.name for field in dataclasses.fields(ReceiptRow))
# The id (order of arrival), then the fields. JSON is read as text, so that one damaged value does
# not fail the whole query.
_LISTS = ("success", "values", "device_values")
_COLUMNS = [
    tables.RECEIPTS.c.id,
    *(
        sa.cast(column, sa.Text).label(column.name) if column.name in _LISTS else column
        for column in (tables.RECEIPTS.c[name] for name in _FIELDS)
    ),
]


def add(connection: sa.Connection, rows: Sequence[ReceiptRow]) -> None:
    """Insert receipts into their table.

    Args:
        connection: a connection within a writing transaction.
        rows: the receipts to insert, none of which may be in the table yet. The database refuses
            duplicates.
    """
    # Python's text of a list of finite numbers is valid JSON.
    values = [
        {**vars(row), **{name: str(list(getattr(row, name))) for name in _LISTS}} for row in rows
    ]
    write_all(connection, sa.insert(tables.RECEIPTS), values)


def rows() -> sa.Select[Any]:
    """Return a query for all receipts, which the caller may narrow down.

    `receipts` reads the result of the query.
    """
    return sa.select(*_COLUMNS)


def receipts(found: Iterable[Sequence[Any]], damage: DamagedRows) -> Iterator[ReceiptRow]:
    """Yield the receipts in the result of a query.

    Args:
        found: the rows that a query based on `rows` returned.
        damage: the counter of damaged rows, which are skipped.
    """
    for number, *values in found:
        receipt = _receipt_or_none(number, values, damage)
        if receipt is not None:
            yield receipt


def _receipt_or_none(number: int, found: Sequence[Any], damage: DamagedRows) -> ReceiptRow | None:
    values = dict(zip(_FIELDS, found, strict=True))
    try:
        lists = {name: tuple(map(float, parse_json(values[name]))) for name in _LISTS}
    except (ValueError, TypeError) as err:
        damage.add(tables.RECEIPTS.name, number, err)
        return None
    return ReceiptRow(**{**values, **lists})


def page(
    connection: sa.Connection,
    damage: DamagedRows,
    *conditions: sa.ColumnElement[bool],
    after: int,
    limit: int,
) -> tuple[list[ReceiptRow], int | None]:
    """Return one page of receipts in order of arrival.

    Args:
        connection: the connection for the query.
        damage: the counter of damaged rows, which are skipped.
        conditions: the conditions that every receipt must meet.
        after: the id of the last row of the previous page; 0 for the first page.
        limit: the maximum number of rows on the page, damaged rows included.

    Returns:
        The receipts, and the id of the page's last row, from which the next page continues. The id
        is None if the page has no rows.
    """
    number = tables.RECEIPTS.c.id
    query = rows().where(number > after, *conditions).order_by(number).limit(limit)
    found = connection.execute(query).all()
    return list(receipts(found, damage)), found[-1].id if found else None
