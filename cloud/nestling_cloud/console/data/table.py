"""Defines the table of figures behind a chart, and formats it as CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Cell = str | int | float | None
# A spreadsheet takes a text that starts with one of these for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table.

    Attributes:
        key: the name of the column for programs, with the unit.
        label: the heading on a page, with the unit; "" for a column that only programs read.
    """

    key: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of figures.

    Attributes:
        columns: the columns.
        rows: the rows, with one cell for each column; a cell is None where a figure is missing.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


def table(columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[Cell]]) -> Table:
    """Build a table from sequences of columns and rows.

    Args:
        columns: the key and the label of each column.
        rows: the rows, with one cell for each column.
    """
    return Table(
        columns=tuple(Column(key=key, label=label) for key, label in columns),
        rows=tuple(tuple(row) for row in rows),
    )


# The keys of columns that hold times end in one of these.
_TIMES = ("ms", "utc")


def is_empty(content: Table) -> bool:
    """Return whether a table has no figures.

    Times, zeros, empty strings and None do not count as figures.
    """
    figures = [
        index
        for index, column in enumerate(content.columns)
        if column.key.rpartition("_")[2] not in _TIMES
    ]
    return not any(row[index] for row in content.rows for index in figures)


def as_csv(lines: Iterable[Sequence[Cell]]) -> str:
    """Format lines as CSV (RFC 4180).

    A string that a spreadsheet would interpret as a formula is prefixed with an apostrophe.
    """
    text = io.StringIO()
    # Every text is quoted: in many locales a spreadsheet also separates cells at semicolons, and
    # would find a formula behind one.
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC)
    for line in lines:
        writer.writerow([_harmless(cell) for cell in line])
    return text.getvalue()


def table_csv(content: Table) -> str:
    """Format a table as CSV, with the column keys as the first line."""
    return as_csv([[column.key for column in content.columns], *content.rows])


def _harmless(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
