"""Keeps rollups, which are sums over the receipts in each step of 10 s, 1 min and 1 h.

Without them, a page that shows a month would have to read a month of receipts. There are sums over
the whole fleet for all three step lengths. For a single device there are only sums over minutes and
hours, because its 10 s sums can be computed from its receipts. Sums are written in the same
transaction as their receipts. Receipts are added up in memory first, so that a transaction writes
each sum once.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from nestling_cloud.store import histogram, tables
from nestling_cloud.store.database import replace_all
from nestling_cloud.store.receipt_row import LARGEST_INTEGER, ReceiptRow
from nestling_cloud.store.retention import Retention
from nestling_cloud.store.tally import Kind, Tally, tally
from nestling_cloud.store.time_range import TimeRange

# Answers whose time is farther ahead of ours go only into rollups that are kept forever.
CLOCK_AHEAD_MS = 3_600_000

_KIND_COLUMNS = (
    "route",
    "fallback",
    "latency_provenance",
    "compute_provenance",
    "radio_provenance",
    "offload_provenance",
)
_FINEST_MS = min(tables.FLEET_ROLLUPS)
_KEYS_A_QUERY = 5000

RowKey = tuple[Any, ...]  # start and kind; in a device's rollup start, device and kind


def add(
    connection: sa.Connection, rows: Iterable[ReceiptRow], retention: Retention, *, now_ms: int
) -> None:
    """Add new receipts to every rollup that keeps sums for the time of their answers.

    If an answer is dated more than an hour in the future, the device's clock must be wrong. The
    answer's receipt is then added only to the rollups that are kept forever.

    Args:
        connection: a connection within a writing transaction.
        rows: the receipts, none of which was added before.
        retention: the time for which each rollup is kept.
        now_ms: the current Unix time.
    """
    finest = tally(rows, _FINEST_MS)
    if not finest:
        return
    for step_ms, table in tables.FLEET_ROLLUPS.items():
        since_ms, until_ms = _kept(retention.fleet_ms[step_ms], now_ms)
        _add(connection, table, _fold(finest, step_ms, since_ms, until_ms, by_device=False))
    for step_ms, table in tables.DEVICE_ROLLUPS.items():
        since_ms, until_ms = _kept(retention.device_ms[step_ms], now_ms)
        _add(connection, table, _fold(finest, step_ms, since_ms, until_ms, by_device=True))


def _kept(keep_ms: int | None, now_ms: int) -> tuple[int, int]:
    if keep_ms is None:
        return 0, LARGEST_INTEGER
    return now_ms - keep_ms, now_ms + CLOCK_AHEAD_MS


def _fold(
    finest: Mapping[tuple[str, int, Kind], Tally],
    step_ms: int,
    since_ms: int,
    until_ms: int,
    *,
    by_device: bool,
) -> dict[RowKey, Tally]:
    """Add up sums over short steps into sums over longer steps.

    Args:
        finest: the sums by device id, start of the short step in ms, and kind.
        step_ms: the length of the longer steps.
        since_ms: longer steps that start before this time are left out.
        until_ms: longer steps that start at this time or later are left out.
        by_device: True for separate sums for each device, False for sums over the whole fleet.

    Returns:
        The sums by start of the longer step, device id (only if `by_device` is set), and the fields
        of the kind.
    """
    folded: dict[RowKey, Tally] = defaultdict(Tally)
    for (device, fine_ms, kind), figures in finest.items():
        start_ms = fine_ms - fine_ms % step_ms
        if since_ms <= start_ms < until_ms:
            key = (start_ms, device, *kind) if by_device else (start_ms, *kind)
            folded[key].add(figures)
    return folded


def _add(connection: sa.Connection, table: sa.Table, tallies: Mapping[RowKey, Tally]) -> None:
    if not tallies:
        return
    names = [column.name for column in table.primary_key]
    by = 2 if "device" in table.c else 1
    for row in stored(connection, table, sorted({key[:by] for key in tallies})):
        figures = tallies.get(tuple(row[: len(names)]))
        if figures is not None:
            figures.add(tally_of(row))
    rows = [
        {**dict(zip(names, key, strict=True)), **columns_of(figures)}
        for key, figures in sorted(tallies.items())
    ]
    replace_all(connection, table, rows)


def stored(
    connection: sa.Connection, table: sa.Table, keys: Sequence[RowKey]
) -> Iterator["sa.Row[Any]"]:
    """Yield the rows of a rollup whose primary keys begin with one of the given values.

    Args:
        connection: the connection for the queries.
        table: the rollup.
        keys: tuples with the values of the first columns of the primary key. There must be at least
            one tuple, and all tuples must have the same length.
    """
    columns = list(table.primary_key)[: len(keys[0])]
    for first in range(0, len(keys), _KEYS_A_QUERY):
        some = keys[first : first + _KEYS_A_QUERY]
        yield from connection.execute(sa.select(table).where(sa.tuple_(*columns).in_(some)))


def columns_of(figures: Tally) -> dict[str, Any]:
    """Return sums as the values of a row, by column name."""
    return {
        "answers": figures.answers,
        "estimated_answers": figures.estimated_answers,
        "expected_right": figures.expected_right,
        "energy_compute_mj": figures.energy_compute_mj,
        "energy_radio_mj": figures.energy_radio_mj,
        # Devices report these unchecked, so a sum may exceed what the database can hold.
        "bytes_up": min(figures.bytes_up, LARGEST_INTEGER),
        "bytes_down": min(figures.bytes_down, LARGEST_INTEGER),
        "offload_energy_mj": figures.offload_energy_mj,
        "offload_bytes": min(figures.offload_bytes, LARGEST_INTEGER),
        "latencies": histogram.encode(figures.latencies),
        "audited": figures.audited,
        "agreeing": figures.agreeing,
        "deferred": figures.deferred,
        "revised": figures.revised,
        "changed": figures.changed,
        "expired": figures.expired,
    }


def tally_of(row: "sa.Row[Any]") -> Tally:
    """Return the sums in a row of a rollup."""
    return Tally(
        answers=row.answers,
        estimated_answers=row.estimated_answers,
        expected_right=row.expected_right,
        energy_compute_mj=row.energy_compute_mj,
        energy_radio_mj=row.energy_radio_mj,
        bytes_up=row.bytes_up,
        bytes_down=row.bytes_down,
        offload_energy_mj=row.offload_energy_mj,
        offload_bytes=row.offload_bytes,
        latencies=histogram.decode(row.latencies),
        audited=row.audited,
        agreeing=row.agreeing,
        deferred=row.deferred,
        revised=row.revised,
        changed=row.changed,
        expired=row.expired,
    )


def read(
    connection: sa.Connection, step_ms: int, time_range: TimeRange, device: str | None = None
) -> Iterator[tuple[int, Kind, Tally]]:
    """Yield the sums of a time range.

    Args:
        connection: the connection for the query.
        step_ms: the step length of the rollup in ms.
        time_range: the time range, which covers whole steps.
        device: the id of the device; None for the whole fleet.

    Yields:
        The start of a step in ms, a kind of receipts, and the sums over the receipts of this kind
        in the step.
    """
    fleet = tables.FLEET_ROLLUPS[step_ms]
    since, until = time_range.since_ms, time_range.until_ms
    within = (fleet.c.start_ms >= since, fleet.c.start_ms < until)
    query = sa.select(fleet).where(*within)
    if device is not None:
        # Start and device together use the primary key; a range of starts would scan every device.
        table = tables.DEVICE_ROLLUPS[step_ms]
        starts = sa.select(fleet.c.start_ms).distinct().where(*within)
        query = sa.select(table).where(table.c.start_ms.in_(starts), table.c.device == device)
    for row in connection.execute(query):
        kind = Kind(*(getattr(row, name) for name in _KIND_COLUMNS))
        yield row.start_ms, kind._replace(fallback=bool(kind.fallback)), tally_of(row)
