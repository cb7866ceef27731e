"""Computes the figures of the console and the API from the store, without writing to the store.

The time range of a view is widened to whole steps of time, and the view reports the widened range.
Therefore, a view's totals equal the sums of its series, and also the sums of the stored figures
over the reported range.
"""

import dataclasses
from collections.abc import Iterator

import sqlalchemy as sa

from nestling_cloud.metrics.device_table import device_row, device_rows, matching
from nestling_cloud.metrics.fleet_guarantees import fleet_guarantees
from nestling_cloud.metrics.steps import EARLIEST_MS, Steps, clamp, steps_of
from nestling_cloud.metrics.totals import Sums, totals
from nestling_cloud.metrics.views import AnswerPoint, DeviceRow, DeviceView, FleetView
from nestling_cloud.store import newest_receipts, tables
from nestling_cloud.store.copied_outboxes import active_copies
from nestling_cloud.store.hard_inputs import HardInputs
from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_cloud.store.rollups import CLOCK_AHEAD_MS, read
from nestling_cloud.store.store import Store
from nestling_cloud.store.tally import tally
from nestling_cloud.store.time_range import TimeRange
from nestling_core.clock import unix_ms

_MINUTE_MS = 60_000
# Steps of 10 s are computed from a device's receipts, unless there are more than this.
_MOST_RECEIPTS = 20_000
_RECEIPTS_A_PAGE = 1000
_POINT = [field.name for field in dataclasses.fields(AnswerPoint)]


class MetricQueries:
    """Computes the figures of a fleet from its store.

    The class is thread-safe.

    Args:
        store: the store that holds the receipts and the registry of devices.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def fleet(self, time_range: TimeRange) -> FleetView:
        """Return the figures of the whole fleet over a time range.

        The time range is widened to whole steps of time.
        """
        steps = steps_of(time_range, self._store.retention.fleet_ms, now_ms=unix_ms())
        with self._store.reading() as connection:
            bundles, online = _bundles(connection)
            return FleetView(
                range=steps.range,
                known=sum(bundles.values()),
                online=online,
                answering=self._answering(connection, steps),
                bundles=bundles,
                residents=_residents(connection, steps.range),
                totals=totals(read(connection, steps.rollup_ms, steps.range), steps),
                dropped=_dropped(connection),
                guarantees=fleet_guarantees(connection),
                shared=tuple(sorted(active_copies(connection, now_ms=unix_ms()))),
            )

    def devices(
        self,
        *,
        search: str = "",
        order_by: str = "device",
        descending: bool = False,
        offset: int = 0,
        limit: int = 100,
    ) -> tuple[list[DeviceRow], int]:
        """Return one page of the table of devices.

        Args:
            search: a string that the id, profile or bundle version of a device must contain. Case
                is ignored, and an empty string selects all devices.
            order_by: the field of `DeviceRow` to sort by; devices without a value come last.
            descending: whether the largest value comes first.
            offset: the number of devices to skip.
            limit: the largest number of devices to return.

        Returns:
            The rows of the page, and the number of devices on all pages.

        Raises:
            ValueError: `order_by` is not a field of `DeviceRow`.
        """
        query = device_rows(order_by=order_by, descending=descending).where(matching(search))
        count = sa.select(sa.func.count()).select_from(tables.DEVICES).where(matching(search))
        with self._store.reading() as connection:
            rows = connection.execute(query.offset(offset).limit(limit))
            return [device_row(row) for row in rows], connection.execute(count).scalar_one()

    def row(self, device: str) -> DeviceRow | None:
        """Return the row of a device in the table, or None if the device has never reported."""
        query = device_rows().where(tables.DEVICES.c.device == device)
        with self._store.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else device_row(row)

    def device(
        self, device: str, time_range: TimeRange, *, answers: int = 500
    ) -> DeviceView | None:
        """Return the figures of one device over a time range.

        The latest inputs that the device sent to the cloud are included, even if they are outside
        the range.

        Args:
            device: the device's id.
            time_range: the time range of the figures, which is widened to whole steps of time.
            answers: the largest number of answers and follow-ups to return with the figures. They
                are the latest in the range, oldest first.

        Returns:
            The figures, or None if the device has never reported.
        """
        query = device_rows().where(tables.DEVICES.c.device == device)
        hard_inputs = HardInputs(self._store).latest(device)
        with self._store.reading() as connection:
            row = connection.execute(query).first()
            if row is None:
                return None
            steps, sums = self._sums(connection, device, time_range)
            return DeviceView(
                range=steps.range,
                row=device_row(row),
                totals=totals(sums, steps),
                answers=tuple(self._latest(connection, device, steps.range, answers)),
                hard_inputs=tuple(hard_inputs),
                copies=active_copies(connection, now_ms=unix_ms(), device=device).get(device, 1),
            )

    def _latest(
        self, connection: sa.Connection, device: str, time_range: TimeRange, count: int
    ) -> Iterator[AnswerPoint]:
        """Yield the latest answers of a device, oldest first."""
        columns = tables.RECEIPTS.c
        query = (
            newest_receipts.rows()
            .where(columns.device == device, *_within(time_range))
            .order_by(columns.answered_at_ms.desc(), columns.id.desc())
            .limit(count)
        )
        found = connection.execute(query).all()
        for row in newest_receipts.receipts(reversed(found), self._store.damage):
            yield AnswerPoint(**{name: getattr(row, name) for name in _POINT})

    def receipts(self, time_range: TimeRange, *, device: str | None = None) -> Iterator[ReceiptRow]:
        """Yield the receipts of a time range, in the order in which they were stored.

        The receipts are read page by page, so that a slow caller keeps no transaction open.
        Receipts that are stored after the first one is requested, or that leave the retention
        window before they are read, are left out. Damaged rows are counted and skipped.

        Args:
            time_range: the time range of the answers.
            device: the id of the device whose receipts to return, or None for all devices.
        """
        columns = tables.RECEIPTS.c
        with self._store.reading() as connection:
            last = connection.execute(sa.select(sa.func.max(columns.id))).scalar() or 0
        where = [columns.id <= last, *_within(time_range)]
        if device is not None:
            where.append(columns.device == device)
        after = 0
        while True:
            with self._store.reading() as connection:
                page, last_read = newest_receipts.page(
                    connection, self._store.damage, *where, after=after, limit=_RECEIPTS_A_PAGE
                )
            if last_read is None:
                return
            yield from page
            after = last_read

    def first_ms(self) -> int | None:
        """Return the Unix time of the first answer, or None if there is no answer.

        The time is rounded down, because the store keeps the oldest figures as sums over steps of
        time. Answers dated before 2020, or more than an hour in the future, do not count, because
        they come from a device with a wrong clock.
        """
        until_ms = unix_ms() + CLOCK_AHEAD_MS
        with self._store.reading() as connection:
            # The rollup with the longest steps goes back furthest.
            for table in reversed(tables.FLEET_ROLLUPS.values()):
                start_ms = table.c.start_ms
                query = sa.select(sa.func.min(start_ms)).where(
                    start_ms.between(EARLIEST_MS, until_ms)
                )
                first_ms: int | None = connection.execute(query).scalar()
                if first_ms is not None:
                    return first_ms
        return None

    def _answering(self, connection: sa.Connection, steps: Steps) -> int:
        devices = tables.DEVICES.c
        if steps.range.until_ms >= unix_ms():  # the time of the last answer is enough
            query = sa.select(sa.func.count()).where(
                devices.last_answered_ms >= steps.range.since_ms, devices.answers > 0
            )
            return connection.execute(query).scalar_one()
        past = steps_of(steps.range, self._store.retention.device_ms, now_ms=unix_ms())
        table = tables.DEVICE_ROLLUPS[past.rollup_ms]
        count = sa.select(sa.func.count(sa.distinct(table.c.device))).where(
            table.c.start_ms >= past.range.since_ms,
            table.c.start_ms < past.range.until_ms,
            table.c.answers > 0,
        )
        return connection.execute(count).scalar_one()

    def _sums(
        self, connection: sa.Connection, device: str, time_range: TimeRange
    ) -> tuple[Steps, list[Sums]]:
        """Return the steps of a device's series, and the sums of its receipts by step and kind.

        The sums are computed from the device's receipts if this allows shorter steps, the receipts
        are few, and none of them is damaged or has left the retention window. Otherwise the sums
        are read from the rollups, in which the store keeps sums over steps of time.
        """
        now_ms, kept_ms = unix_ms(), self._store.retention.device_ms
        steps = steps_of(time_range, kept_ms, now_ms=now_ms)
        sums = list(read(connection, steps.rollup_ms, steps.range, device))
        finest = steps_of(time_range, {10_000: None, **kept_ms}, now_ms=now_ms)
        receipts = sum(figures.receipts for _, _, figures in sums)
        if finest.rollup_ms == steps.rollup_ms or receipts > _MOST_RECEIPTS:
            return steps, sums
        rows = self._receipts(connection, device, steps.range)
        if len(rows) != receipts:  # some have left the retention window, or are damaged
            return steps, sums
        first_ms, end_ms = finest.range.since_ms, finest.range.until_ms
        within = (row for row in rows if first_ms <= row.answered_at_ms < end_ms)
        fine = tally(within, finest.rollup_ms)
        return finest, [(start, kind, figures) for (_, start, kind), figures in fine.items()]

    def _receipts(
        self, connection: sa.Connection, device: str, time_range: TimeRange
    ) -> list[ReceiptRow]:
        query = newest_receipts.rows().where(
            tables.RECEIPTS.c.device == device, *_within(time_range)
        )
        return list(newest_receipts.receipts(connection.execute(query), self._store.damage))


def _bundles(connection: sa.Connection) -> tuple[dict[str, int], int]:
    """Return the number of devices by bundle version, and the number of devices that are online."""
    version = sa.func.coalesce(tables.DEVICES.c.bundle_version, "")
    online = sa.func.count().filter(tables.DEVICES.c.online)
    query = sa.select(version, sa.func.count(), online).group_by(version).order_by(version)
    rows = list(connection.execute(query))
    return {row[0]: row[1] for row in rows}, sum(row[2] for row in rows)


def _dropped(connection: sa.Connection) -> int:
    lost = sa.select(sa.func.sum(tables.GAP_LENGTH)).where(tables.GAPS.c.reason == tables.DROPPED)
    return int(connection.execute(lost).scalar() or 0)


def _residents(connection: sa.Connection, time_range: TimeRange) -> dict[int, int]:
    """Return the number of devices by resident capacity (the largest capacity in memory).

    Devices without a resident capacity, and devices that have not answered since the range began,
    are not counted.
    """
    capacity, answered_ms = tables.DEVICES.c.capacity, tables.DEVICES.c.last_answered_ms
    query = (
        sa.select(capacity, sa.func.count())
        .where(capacity > 0, answered_ms >= clamp(time_range).since_ms)
        .group_by(capacity)
        .order_by(capacity)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _within(time_range: TimeRange) -> list[sa.ColumnElement[bool]]:
    at_ms, possible = tables.RECEIPTS.c.answered_at_ms, clamp(time_range)
    return [at_ms >= possible.since_ms, at_ms < possible.until_ms]
