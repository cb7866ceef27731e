"""Reads figures, and shares them among all open pages that show them."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from nestling_cloud.console.data.time_spans import Span
from nestling_cloud.metrics.queries import MetricQueries
from nestling_cloud.metrics.views import DeviceRow, DeviceView, FleetView
from nestling_cloud.store.time_range import TimeRange
from nestling_core.clock import unix_ms

_DEVICE_FRESH_S = 0.9
_LONGEST_KEPT_S = 60.0

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class DeviceQuery:
    """Selects one page of the table of devices.

    Attributes:
        search: a string that the id, the board or the bundle version of a device must contain. Case
            is ignored, and an empty string selects all devices.
        order_by: the field of `DeviceRow` to sort by.
        descending: whether the largest value comes first.
        offset: the number of devices to skip.
        limit: the largest number of devices on the page.
    """

    search: str = ""
    order_by: str = "device"
    descending: bool = False
    offset: int = 0
    limit: int = 25


class LiveFigures:
    """Reads figures, and caches most of them for a short time.

    The figures are read in threads, so that the event loop does not wait for the store.

    Args:
        figures: the queries of the store.
        is_uplink_connected: a function that returns whether the cloud is connected to the broker.
            While the cloud is not connected, every device counts as not connected.
    """

    def __init__(
        self,
        figures: MetricQueries,
        is_uplink_connected: Callable[[], bool] = lambda: True,
    ) -> None:
        self._figures = figures
        self._is_uplink_connected = is_uplink_connected
        self._fleet: TimedCache[FleetView] = TimedCache()
        self._device: TimedCache[DeviceView | None] = TimedCache()
        self._row: TimedCache[DeviceRow | None] = TimedCache()
        self._devices: TimedCache[tuple[list[DeviceRow], int]] = TimedCache()

    async def fleet(self, span: Span) -> FleetView:
        """Return the figures of the fleet over a span of time up to now."""
        view = await self._fleet.get(
            span, span.fresh_s, lambda: self._figures.fleet(self.range(span))
        )
        return self._fleet_now(view)

    async def device(self, device: str, span: Span) -> DeviceView | None:
        """Return the figures of a device over a span of time up to now.

        Args:
            device: the device's id.
            span: the span of time.

        Returns:
            The figures, or None if the device has never reported.
        """
        view = await self._device.get(
            (device, span),
            max(_DEVICE_FRESH_S, span.fresh_s),
            lambda: self._figures.device(device, self.range(span)),
        )
        return self._device_now(view)

    async def row(self, device: str) -> DeviceRow | None:
        """Return the row of a device in the table, or None if the device has never reported."""
        row = await self._row.get(device, _DEVICE_FRESH_S, lambda: self._figures.row(device))
        return None if row is None else self._row_now(row)

    async def devices(self, query: DeviceQuery) -> tuple[list[DeviceRow], int]:
        """Return one page of the table of devices, and the number of devices on all pages."""
        rows, total = await self._devices.get(
            query,
            _DEVICE_FRESH_S,
            lambda: self._figures.devices(
                search=query.search,
                order_by=query.order_by,
                descending=query.descending,
                offset=query.offset,
                limit=query.limit,
            ),
        )
        return [self._row_now(row) for row in rows], total

    async def fleet_in(self, time_range: TimeRange) -> FleetView:
        """Return the figures of the fleet over any time range, without caching."""
        return self._fleet_now(await asyncio.to_thread(self._figures.fleet, time_range))

    async def device_in(self, device: str, time_range: TimeRange) -> DeviceView | None:
        """Return the figures of a device over any time range, without caching.

        Args:
            device: the device's id.
            time_range: the time range of the figures.

        Returns:
            The figures, or None if the device has never reported.
        """
        return self._device_now(await asyncio.to_thread(self._figures.device, device, time_range))

    async def age_ms(self) -> int | None:
        """Return the age of the first answer in ms, or None if there is no answer."""
        first_ms = await asyncio.to_thread(self._figures.first_ms)
        return None if first_ms is None else unix_ms() - first_ms

    def range(self, span: Span) -> TimeRange:
        """Return the time range of a span up to now.

        The span "all" begins with the first answer, or now if there is no answer.
        """
        if span.length_ms is not None:
            return span.until(unix_ms())
        first_ms, now_ms = self._figures.first_ms(), unix_ms()
        since_ms = now_ms if first_ms is None else min(first_ms, now_ms)
        return TimeRange(since_ms=since_ms, until_ms=now_ms + 1)

    def _fleet_now(self, view: FleetView) -> FleetView:
        return view if self._is_uplink_connected() else replace(view, online=0)

    def _device_now(self, view: DeviceView | None) -> DeviceView | None:
        return None if view is None else replace(view, row=self._row_now(view.row))

    def _row_now(self, row: DeviceRow) -> DeviceRow:
        return row if self._is_uplink_connected() else replace(row, online=False)


class TimedCache(Generic[Value]):
    """Caches values by key for a short time.

    Concurrent requests for the same key share one read. A failed read is not cached.
    """

    def __init__(self) -> None:
        self._values: dict[object, tuple[float, asyncio.Task[Value]]] = {}

    async def get(self, key: object, fresh_s: float, read: Callable[[], Value]) -> Value:
        """Return the value for a key, reading it in a thread if necessary.

        A cached value is returned while it is fresh. If another request is already reading the
        value, this one waits for the same result.

        Args:
            key: the identifier of the value.
            fresh_s: the age in seconds at which a cached value stops being fresh.
            read: a function that reads the value.
        """
        now_s = time.monotonic()
        read_at_s, reading = self._values.get(key, (-1e9, None))
        stale = now_s - read_at_s >= fresh_s and (reading is None or reading.done())
        if reading is None or stale or (reading.done() and reading.exception()):
            self._forget_old(now_s)
            reading = asyncio.create_task(asyncio.to_thread(read))
            self._values[key] = (now_s, reading)
        return await asyncio.shield(reading)

    def _forget_old(self, now_s: float) -> None:
        self._values = {
            key: (read_at_s, reading)
            for key, (read_at_s, reading) in self._values.items()
            if now_s - read_at_s < _LONGEST_KEPT_S or not reading.done()
        }
