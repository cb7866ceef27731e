"""Takes a device, or a span of time, out of the rollups.

The sums of the fleet are those of its devices, so a device is subtracted. Where its own sums are
not held in steps as short as those of the fleet, it cannot be told apart: there the fleet's short
steps are replaced by one entry for the whole minute or hour, without the device. Every total stays
right, and only the resolution of these steps is lost.
"""

from collections.abc import Collection, Iterable, Iterator

import sqlalchemy as sa

from nestling_cloud.store import rollups, tables
from nestling_cloud.store.database import write_all
from nestling_cloud.store.retention import Retention
from nestling_cloud.store.rollups import RowKey
from nestling_cloud.store.tally import Tally

HOUR_MS = max(tables.FLEET_ROLLUPS)
_MINUTE_MS = min(tables.DEVICE_ROLLUPS)
_SHORTEST_MS = min(tables.FLEET_ROLLUPS)
_KEYS_A_QUERY = 2000


def delete_span(connection: sa.Connection, since_ms: int, until_ms: int) -> None:
    """Delete the sums of every step that starts in a span of whole hours.

    Args:
        connection: a connection within a writing transaction.
        since_ms: the start of the span, the start of an hour.
        until_ms: the end of the span, the start of an hour.
    """
    for table in (*tables.FLEET_ROLLUPS.values(), *tables.DEVICE_ROLLUPS.values()):
        start = table.c.start_ms
        connection.execute(sa.delete(table).where(start >= since_ms, start < until_ms))


def delete_device(
    connection: sa.Connection,
    device: str,
    since_ms: int,
    until_ms: int,
    retention: Retention,
    *,
    now_ms: int,
) -> None:
    """Delete a device's sums, and subtract them from those of the fleet.

    Args:
        connection: a connection within a writing transaction.
        device: the device's id.
        since_ms: the start of the span, the start of an hour.
        until_ms: the end of the span, the start of an hour.
        retention: the time for which each rollup is kept.
        now_ms: the current Unix time.
    """
    span = (since_ms, until_ms)
    hours = _take(connection, HOUR_MS, device, span)
    minutes = _take(connection, _MINUTE_MS, device, span)
    kept_ms = retention.device_ms[_MINUTE_MS]
    told_apart_ms = 0 if kept_ms is None else now_ms - kept_ms
    _subtract(connection, tables.FLEET_ROLLUPS[HOUR_MS], hours)
    _subtract(
        connection,
        tables.FLEET_ROLLUPS[_MINUTE_MS],
        {key: sums for key, sums in minutes.items() if _hour(key[0]) >= told_apart_ms},
    )
    starts = {key[0] for key in hours}
    recent = {key[0] for key in minutes if _hour(key[0]) >= told_apart_ms}
    for step_ms, whole_ms, coarse in (
        (_SHORTEST_MS, _MINUTE_MS, recent),
        (_SHORTEST_MS, HOUR_MS, {start for start in starts if start < told_apart_ms}),
        (_MINUTE_MS, HOUR_MS, {start for start in starts if start < told_apart_ms}),
    ):
        fleet_ms = retention.fleet_ms[step_ms]
        oldest_ms = 0 if fleet_ms is None else now_ms - fleet_ms
        _coarsen(connection, step_ms, whole_ms, coarse, oldest_ms)


def _take(
    connection: sa.Connection, step_ms: int, device: str, span: tuple[int, int]
) -> dict[RowKey, Tally]:
    """Delete a device's sums, and return them by start and kind."""
    fleet, table = tables.FLEET_ROLLUPS[step_ms], tables.DEVICE_ROLLUPS[step_ms]
    # Start and device together use the primary key; the device alone would scan every device.
    starts = sa.select(fleet.c.start_ms).distinct()
    condition = (
        table.c.start_ms.in_(starts.where(fleet.c.start_ms >= span[0], fleet.c.start_ms < span[1])),
        table.c.device == device,
    )
    names = [column.name for column in fleet.primary_key]
    found = {
        tuple(getattr(row, name) for name in names): rollups.tally_of(row)
        for row in connection.execute(sa.select(table).where(*condition))
    }
    connection.execute(sa.delete(table).where(*condition))
    return found


def _subtract(connection: sa.Connection, table: sa.Table, removed: dict[RowKey, Tally]) -> None:
    names = [column.name for column in table.primary_key]
    rows = []
    starts = sorted({key[:1] for key in removed})
    for row in rollups.stored(connection, table, starts) if starts else ():
        key = tuple(getattr(row, name) for name in names)
        if key not in removed:
            continue
        left = rollups.tally_of(row)
        left.subtract(removed[key])
        if left.receipts:
            rows.append({**dict(zip(names, key, strict=True)), **rollups.columns_of(left)})
    for some in _chunks(removed):
        connection.execute(sa.delete(table).where(sa.tuple_(*table.primary_key).in_(some)))
    write_all(connection, sa.insert(table), rows)


def _coarsen(
    connection: sa.Connection, step_ms: int, whole_ms: int, starts: Collection[int], oldest_ms: int
) -> None:
    """Replace the fleet's sums of short steps by those of the longer steps around them.

    Args:
        connection: a connection within a writing transaction.
        step_ms: the length of the short steps.
        whole_ms: the length of the longer steps.
        starts: the starts of the longer steps.
        oldest_ms: the time before which the sums of short steps are not kept anyway.
    """
    short, whole = tables.FLEET_ROLLUPS[step_ms], tables.FLEET_ROLLUPS[whole_ms]
    for start in sorted(starts):
        step = short.c.start_ms
        connection.execute(sa.delete(short).where(step >= start, step < start + whole_ms))
        if start >= oldest_ms:
            copied = sa.select(whole).where(whole.c.start_ms == start)
            connection.execute(sa.insert(short).from_select(whole.c.keys(), copied))


def _hour(start_ms: int) -> int:
    return start_ms - start_ms % HOUR_MS


def _chunks(keys: Iterable[RowKey]) -> Iterator[list[RowKey]]:
    every = sorted(keys)
    for first in range(0, len(every), _KEYS_A_QUERY):
        yield every[first : first + _KEYS_A_QUERY]
