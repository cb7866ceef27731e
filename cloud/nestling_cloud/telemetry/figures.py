"""The read side of the store: figures for the console and the API."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from nestling_cloud.fleet.wishes import Wishes
from nestling_cloud.telemetry.hard_inputs import HardInputs
from nestling_cloud.telemetry.receipts import NO_PROVENANCE, ReceiptRow
from nestling_cloud.telemetry.store import Store
from nestling_cloud.telemetry.views import (
    AnswerPoint,
    Bucket,
    CloudOnly,
    DeviceRow,
    DeviceView,
    EnergyFigures,
    FleetView,
    RouteFigures,
    TimeRange,
    Totals,
)

FALLBACKS = frozenset({"deadline_missed", "unreachable", "bad_answer"})
_STEPS_MS = (10_000, 60_000, 300_000, 3_600_000, 6 * 3_600_000, 24 * 3_600_000)


class Figures:
    """Answers questions about a fleet from its store. May be used from several threads.

    Args:
        store: what was reported.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def fleet(self, time_range: TimeRange) -> FleetView:
        """The whole fleet over a time range, which is widened to whole steps."""
        rows = list(self.receipts(time_range))
        devices, known = self.devices(limit=1_000_000)
        return FleetView(
            range=time_range,
            known=known,
            online=sum(row.online for row in devices),
            answering=len({row.device for row in rows}),
            bundles=Counter(row.bundle_version for row in devices),
            totals=_totals(rows, time_range),
            dropped=self._store.dropped(),
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
        """A page of the fleet's table.

        Args:
            search: text in a device's id, profile or bundle version, in any case.
            order_by: a field of `DeviceRow`.
            descending: largest first.
            offset: devices before the page.
            limit: devices on the page.

        Returns:
            The page, and how many devices there are on all pages.

        Raises:
            ValueError: there is no such field.
        """
        last: dict[str, ReceiptRow] = {}
        answers: Counter[str] = Counter()
        for row in self._store.receipts():
            last[row.device] = row
            answers[row.device] += 1
        wished = Wishes(self._store).for_devices(last)
        rows = [
            DeviceRow(
                device=device,
                profile="",
                online=True,
                last_seen_ms=row.answered_at_ms,
                bundle_version=row.bundle_version,
                capacity=row.resident_capacity,
                battery=row.budget_battery,
                outbox_depth=0,
                offload_share=row.budget_offload_share,
                wished_share=wished[device],
                answers=answers[device],
            )
            for device, row in last.items()
            if search.lower() in device.lower()
        ]
        rows.sort(key=lambda row: getattr(row, order_by), reverse=descending)
        return rows[offset : offset + limit], len(rows)

    def device(
        self, device: str, time_range: TimeRange, *, answers: int = 500
    ) -> DeviceView | None:
        """One device over a time range; None if nobody ever heard of it.

        Args:
            device: its id.
            time_range: of the figures, widened to whole steps.
            answers: how many of the latest answers in the range come with it, oldest first.
        """
        found = [row for row in self.devices(limit=1_000_000)[0] if row.device == device]
        if not found:
            return None
        rows = list(self.receipts(time_range, device=device))
        return DeviceView(
            range=time_range,
            row=found[0],
            totals=_totals(rows, time_range),
            answers=tuple(_point(row) for row in rows[-answers:]),
            hard_inputs=tuple(HardInputs(self._store).latest(device)),
        )

    def receipts(self, time_range: TimeRange, *, device: str | None = None) -> Iterator[ReceiptRow]:
        """Go through the receipts of a time range, in the order in which they came."""
        for row in self._store.receipts(device):
            if time_range.since_ms <= row.answered_at_ms < time_range.until_ms:
                yield row

    def first_and_last_ms(self) -> tuple[int, int] | None:
        """When the first and the last answer were given; None without any."""
        times = [row.answered_at_ms for row in self._store.receipts()]
        return (min(times), max(times)) if times else None


def _totals(rows: list[ReceiptRow], time_range: TimeRange) -> Totals:
    span_ms = time_range.until_ms - time_range.since_ms
    step_ms = next((step for step in _STEPS_MS if span_ms <= 360 * step), span_ms // 360 + 1)
    by_route: dict[str, list[ReceiptRow]] = defaultdict(list)
    energy: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    steps: dict[int, list[ReceiptRow]] = {
        start: [] for start in range(time_range.since_ms, time_range.until_ms, step_ms)
    }
    offload: dict[str, list[ReceiptRow]] = defaultdict(list)
    for row in rows:
        by_route[row.route].append(row)
        for entry in _energies(row):
            energy[row.route, entry[0], entry[1]].append(entry[2])
        start = row.answered_at_ms - (row.answered_at_ms - time_range.since_ms) % step_ms
        steps[start].append(row)
        if row.offload_energy_provenance != NO_PROVENANCE:
            offload[row.offload_energy_provenance].append(row)
    return Totals(
        answers=len(rows),
        fallbacks=_fallbacks(rows),
        routes=tuple(
            _route(route, by_route[route]) for route in sorted(by_route, key=_route_order)
        ),
        energy=tuple(
            EnergyFigures(
                route=route,
                source=source,
                provenance=provenance,
                answers=len(values),
                energy_mj=sum(values),
            )
            for (route, source, provenance), values in sorted(energy.items())
        ),
        cloud_only=tuple(
            CloudOnly(
                provenance=provenance,
                answers=len(some),
                energy_mj=sum(row.offload_energy_mj for row in some),
                size_bytes=sum(row.offload_bytes for row in some),
            )
            for provenance, some in sorted(offload.items())
        ),
        bytes_up=sum(row.bytes_up for row in rows),
        bytes_down=sum(row.bytes_down for row in rows),
        series=tuple(_bucket(start, some) for start, some in steps.items()),
        step_ms=step_ms,
    )


def _route_order(route: str) -> tuple[bool, int, str]:
    return (route == "cloud", len(route), route)


def _fallbacks(rows: list[ReceiptRow]) -> int:
    return sum(row.reason in FALLBACKS for row in rows)


def _energies(row: ReceiptRow) -> Iterator[tuple[str, str, float]]:
    if row.energy_compute_provenance != NO_PROVENANCE:
        yield "compute", row.energy_compute_provenance, row.energy_compute_mj
    if row.energy_radio_provenance != NO_PROVENANCE:
        yield "radio", row.energy_radio_provenance, row.energy_radio_mj


def _route(route: str, rows: list[ReceiptRow]) -> RouteFigures:
    ms = sorted(row.latency_ms for row in rows)
    return RouteFigures(
        route=route,
        answers=len(rows),
        fallbacks=_fallbacks(rows),
        latency_p50_ms=ms[len(ms) // 2],
        latency_p95_ms=ms[len(ms) * 95 // 100],
        latency_p99_ms=ms[len(ms) * 99 // 100],
        latency_provenance=", ".join(sorted({row.latency_provenance for row in rows})),
    )


def _bucket(start_ms: int, rows: list[ReceiptRow]) -> Bucket:
    energy: dict[tuple[str, str], float] = defaultdict(float)
    for row in rows:
        for source, provenance, value in _energies(row):
            energy[source, provenance] += value
    return Bucket(
        start_ms=start_ms,
        routes=Counter(row.route for row in rows),
        fallbacks=_fallbacks(rows),
        energy_mj=energy,
    )


def _point(row: ReceiptRow) -> AnswerPoint:
    names = AnswerPoint.__dataclass_fields__
    return AnswerPoint(**{name: getattr(row, name) for name in names})
