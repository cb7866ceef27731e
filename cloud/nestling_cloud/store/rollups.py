"""Sums over steps of 10 s, 1 min and 1 h, written with the receipts that they are made of.

A page that shows a month would otherwise have to read every receipt of it. Of the whole fleet there
are all three; of each device there are the minute and the hour, because its 10 s can be had from
its receipts. Receipts are summed up in memory first, so that a transaction writes each sum once.
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

# How far a device's clock may be ahead before its answers are in no rollup that is trimmed.
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

Place = tuple[Any, ...]  # start and kind; of a device's rollup start, device and kind


def add(
    connection: sa.Connection, rows: Iterable[ReceiptRow], retention: Retention, *, now_ms: int
) -> None:
    """Add new receipts to every rollup that keeps their time.

    A receipt of a device whose clock is far off is in the rollup of hours alone, which keeps all.

    Args:
        connection: within a writing transaction.
        rows: receipts, each for the first time.
        retention: what is kept.
        now_ms: Unix time.
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
) -> dict[Place, Tally]:
    """Sum up over longer steps, and over devices."""
    folded: dict[Place, Tally] = defaultdict(Tally)
    for (device, fine_ms, kind), figures in finest.items():
        start_ms = fine_ms - fine_ms % step_ms
        if since_ms <= start_ms < until_ms:
            place = (start_ms, device, *kind) if by_device else (start_ms, *kind)
            folded[place].add(figures)
    return folded


def _add(connection: sa.Connection, table: sa.Table, tallies: Mapping[Place, Tally]) -> None:
    if not tallies:
        return
    names = [column.name for column in table.primary_key]
    by = 2 if "device" in table.c else 1
    for row in _stored(connection, table, sorted({place[:by] for place in tallies})):
        figures = tallies.get(tuple(row[: len(names)]))
        if figures is not None:
            figures.add(tally_of(row))
    rows = [
        {**dict(zip(names, place, strict=True)), **_columns(figures)}
        for place, figures in sorted(tallies.items())
    ]
    replace_all(connection, table, rows)


def _stored(
    connection: sa.Connection, table: sa.Table, keys: Sequence[Place]
) -> Iterable["sa.Row[Any]"]:
    columns = list(table.primary_key)[: len(keys[0])]
    for first in range(0, len(keys), _KEYS_A_QUERY):
        some = keys[first : first + _KEYS_A_QUERY]
        yield from connection.execute(sa.select(table).where(sa.tuple_(*columns).in_(some)))


def _columns(figures: Tally) -> dict[str, Any]:
    return {
        "answers": figures.answers,
        "energy_compute_mj": figures.energy_compute_mj,
        "energy_radio_mj": figures.energy_radio_mj,
        # Each is what a device claims; a sum of lies may be more than a database can hold.
        "bytes_up": min(figures.bytes_up, LARGEST_INTEGER),
        "bytes_down": min(figures.bytes_down, LARGEST_INTEGER),
        "offload_energy_mj": figures.offload_energy_mj,
        "offload_bytes": min(figures.offload_bytes, LARGEST_INTEGER),
        "latencies": histogram.encode(figures.latencies),
    }


def tally_of(row: "sa.Row[Any]") -> Tally:
    """Tally that a row of a rollup holds."""
    return Tally(
        answers=row.answers,
        energy_compute_mj=row.energy_compute_mj,
        energy_radio_mj=row.energy_radio_mj,
        bytes_up=row.bytes_up,
        bytes_down=row.bytes_down,
        offload_energy_mj=row.offload_energy_mj,
        offload_bytes=row.offload_bytes,
        latencies=histogram.decode(row.latencies),
    )


def read(
    connection: sa.Connection, step_ms: int, time_range: TimeRange, device: str | None = None
) -> Iterator[tuple[int, Kind, Tally]]:
    """Read sums within a time range: start of the step, kind of answers, sums.

    Args:
        connection: any.
        step_ms: length of the steps.
        time_range: whole steps.
        device: whose; None for the fleet's.
    """
    fleet = tables.FLEET_ROLLUPS[step_ms]
    since, until = time_range.since_ms, time_range.until_ms
    within = (fleet.c.start_ms >= since, fleet.c.start_ms < until)
    query = sa.select(fleet).where(*within)
    if device is not None:
        # By start and device the key leads there; by the range it would lead to every device.
        table = tables.DEVICE_ROLLUPS[step_ms]
        starts = sa.select(fleet.c.start_ms).distinct().where(*within)
        query = sa.select(table).where(table.c.start_ms.in_(starts), table.c.device == device)
    for row in connection.execute(query):
        kind = Kind(*(getattr(row, name) for name in _KIND_COLUMNS))
        yield row.start_ms, kind._replace(fallback=bool(kind.fallback)), tally_of(row)
