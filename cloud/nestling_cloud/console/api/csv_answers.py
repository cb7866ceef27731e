"""Builds the CSV responses of the API."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from fastapi.responses import Response

from nestling_cloud.console.api.parameters import TOTALS_TABLES
from nestling_cloud.console.data.table import Table, as_csv, table_csv
from nestling_cloud.console.http.problem import RequestError
from nestling_cloud.metrics.figures import Totals
from nestling_cloud.store.receipt_row import ReceiptRow

CSV_TYPE = "text/csv; charset=utf-8"
_LINES_A_CHUNK = 500


def totals_table(chart: str, totals: Totals, *others: str) -> Table:
    """Return the table of figures behind a chart.

    Args:
        chart: the name of the chart.
        totals: the figures to put into the table.
        others: the names of further charts, which the error for an unknown chart also lists.

    Raises:
        RequestError: there is no such chart.
    """
    make = TOTALS_TABLES.get(chart)
    if make is None:
        names = ", ".join([*TOTALS_TABLES, *others])
        raise RequestError(HTTPStatus.NOT_FOUND, f"no chart {chart!r}; available charts: {names}")
    return make(totals)


def csv_response(table: Table) -> Response:
    """Return a table as a CSV response."""
    return Response(table_csv(table), media_type=CSV_TYPE)


def receipt_lines(rows: Iterator[ReceiptRow]) -> Iterator[str]:
    """Format receipts as CSV.

    The receipts are formatted while they are read, so that memory use does not grow with their
    number.

    Args:
        rows: the receipts.

    Yields:
        Chunks of lines. The first chunk begins with the line of column names.
    """
    lists = ("values", "device_values", "success")
    fields = [name for name in ReceiptRow.__dataclass_fields__ if name not in lists]
    lines: list[list[Any]] = [[*fields, *lists]]
    for row in rows:
        values = [getattr(row, name) for name in fields]
        joined = [" ".join(f"{value:.6g}" for value in getattr(row, name)) for name in lists]
        lines.append([*values, *joined])
        if len(lines) >= _LINES_A_CHUNK:
            yield as_csv(lines)
            lines = []
    yield as_csv(lines)
