"""A table of figures: what stands behind a chart, on a page, in the API and as CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Cell = str | int | float | None
# A spreadsheet would take these for formulas.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column.

    Attributes:
        key: in CSV and JSON, with the unit.
        label: for people, with the unit; "" for a column that only machines read.
    """

    key: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of figures; None where there is none."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


def table(columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[Cell]]) -> Table:
    """Make a table of (key, label) pairs and rows."""
    return Table(
        columns=tuple(Column(key=key, label=label) for key, label in columns),
        rows=tuple(tuple(row) for row in rows),
    )


# How the keys of columns of times end.
_TIMES = ("ms", "utc")


def is_empty(shown: Table) -> bool:
    """Whether a table has no figures: no rows, or rows of times that say nothing."""
    figures = [
        index
        for index, column in enumerate(shown.columns)
        if column.key.rpartition("_")[2] not in _TIMES
    ]
    return not any(row[index] for row in shown.rows for index in figures)


def as_csv(lines: Iterable[Sequence[Cell]]) -> str:
    """Write lines as CSV (RFC 4180), texts that look like formulas made harmless."""
    written = io.StringIO()
    # Every text in quotes: a spreadsheet that takes semicolons for separators, as in half of the
    # world, would find a formula behind one.
    writer = csv.writer(written, quoting=csv.QUOTE_NONNUMERIC)
    for line in lines:
        writer.writerow([_harmless(cell) for cell in line])
    return written.getvalue()


def table_csv(shown: Table) -> str:
    """Write a table with its keys as the first line."""
    return as_csv([[column.key for column in shown.columns], *shown.rows])


def _harmless(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
