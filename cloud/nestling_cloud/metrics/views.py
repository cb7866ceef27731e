"""What the console and the API show, as values: figures of a fleet or a device over a time.

Every energy stands with its source and its provenance, and is never added to one of another
provenance: a sum of `measured` and `modelled` joules is a number of which nobody knows what it
says. Times are Unix milliseconds, shares are 0 to 1, energies millijoules.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from nestling_cloud.store.hard_inputs import HardInput
from nestling_cloud.store.time_range import TimeRange


@dataclass(frozen=True, kw_only=True)
class RouteFigures:
    """Answers of one route ("capacity-<k>" or "cloud").

    Attributes:
        route: where the inputs were answered.
        answers: how many.
        fallbacks: of them, those for which the cloud was asked without success.
        latency_p50_ms: percentiles from a histogram whose bins are at most 10 % wide.
        latency_p95_ms: likewise.
        latency_p99_ms: likewise.
        latency_provenance: "measured", "calibrated" or "modelled"; joined by ", " where several.
    """

    route: str
    answers: int
    fallbacks: int
    latency_p50_ms: float
    latency_p95_ms: float
    latency_p99_ms: float
    latency_provenance: str


@dataclass(frozen=True, kw_only=True)
class EnergyFigures:
    """Energy of the answers that one route gave, from one source, of one provenance."""

    route: str
    source: str  # "compute" or "radio"
    provenance: str
    answers: int
    energy_mj: float


@dataclass(frozen=True, kw_only=True)
class CloudOnly:
    """What the same inputs would have taken if all had been sent to the cloud.

    Attributes:
        provenance: of the energy.
        answers: inputs that this is about.
        energy_mj: of the radio.
        size_bytes: both ways.
    """

    provenance: str
    answers: int
    energy_mj: float
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """One step of a series over time.

    Attributes:
        start_ms: where it begins.
        routes: answers by route.
        fallbacks: answers for which the cloud was asked without success.
        energy_mj: by (source, provenance).
    """

    start_ms: int
    routes: Mapping[str, int]
    fallbacks: int
    energy_mj: Mapping[tuple[str, str], float]


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Figures over a time range, of a fleet or of one device.

    Attributes:
        answers: inputs answered.
        fallbacks: of them, those for which the cloud was asked without success.
        routes: by route, capacities first, the cloud last.
        energy: by route, source and provenance.
        cloud_only: the alternative, by provenance.
        bytes_up: sent by devices for offloads.
        bytes_down: received by them.
        series: by time, oldest first, without holes; a step without answers has none.
        step_ms: length of a step.
    """

    answers: int
    fallbacks: int
    routes: tuple[RouteFigures, ...]
    energy: tuple[EnergyFigures, ...]
    cloud_only: tuple[CloudOnly, ...]
    bytes_up: int
    bytes_down: int
    series: tuple[Bucket, ...]
    step_ms: int


@dataclass(frozen=True, kw_only=True)
class FleetView:
    """The whole fleet over a time range.

    Attributes:
        range: of the figures.
        known: devices that were ever heard of.
        online: devices that are connected now.
        answering: devices that answered at least one input in the range.
        bundles: devices by the bundle version that they last reported.
        residents: devices by the capacity that they last reported to be resident; those that have
            one and answered since the range began.
        totals: the figures.
        dropped: receipts that full outboxes dropped, ever.
        shared: devices under whose identity several copies of a state folder report now.
    """

    range: TimeRange
    known: int
    online: int
    answering: int
    bundles: Mapping[str, int]
    residents: Mapping[int, int]
    totals: Totals
    dropped: int
    shared: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DeviceRow:
    """One device in the fleet's table: what it last reported.

    Attributes:
        device: its id.
        profile: its board.
        online: whether it is connected.
        last_seen_ms: when it was last heard of.
        bundle_version: what it runs, "" if unknown.
        capacity: what is resident, 0 if nothing.
        battery: charge left.
        outbox_depth: receipts that it still holds.
        offload_share: target share in force on it, None where another wish decides, or if it never
            said.
        target_share: what the console wishes for it, None for its own setting.
        drifting: whether its inputs are harder than those of the calibration, None where nobody
            knows.
        answers: inputs answered, ever.
    """

    device: str
    profile: str
    online: bool
    last_seen_ms: int
    bundle_version: str
    capacity: int
    battery: float
    outbox_depth: int
    offload_share: float | None
    target_share: float | None
    drifting: bool | None
    answers: int


@dataclass(frozen=True, kw_only=True)
class AnswerPoint:
    """One answer, as a point on a device's page: from its receipt."""

    answered_at_ms: int
    input_index: int
    route: str
    reason: str
    answer: int
    resident_capacity: int
    latency_ms: float
    energy_compute_mj: float
    energy_radio_mj: float
    energy_provenance: str
    budget_memory_bytes: int
    budget_energy_mj: float
    budget_battery: float
    budget_link_mbit_s: float
    budget_offload_share: float


@dataclass(frozen=True, kw_only=True)
class DeviceView:
    """One device over a time range: its row, its figures, its latest answers and hard inputs.

    `copies` counts the copies of its state folder that report now; there should be one.
    """

    range: TimeRange
    row: DeviceRow
    totals: Totals
    answers: tuple[AnswerPoint, ...]
    hard_inputs: tuple[HardInput, ...]
    copies: int = 1
