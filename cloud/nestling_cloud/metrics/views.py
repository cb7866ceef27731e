"""Types of the figures that the console and the API show, of a fleet or a device.

Every energy carries its source and its provenance. Energies of different provenance are never
added, because a sum of `measured` and `modelled` joules has no meaning. Times are Unix
milliseconds, shares are 0 to 1, energies are millijoules.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from nestling_cloud.store.hard_inputs import HardInput
from nestling_cloud.store.time_range import TimeRange


@dataclass(frozen=True, kw_only=True)
class RouteFigures:
    """Figures of the answers of one route.

    Attributes:
        route: where the inputs were answered: "capacity-<k>" or "cloud".
        answers: number of answers.
        fallbacks: number of these answers for which the cloud was asked without success.
        latency_p50_ms: median latency, from a histogram whose bins are at most 10 % wide.
        latency_p95_ms: 95th percentile of the latency, from the same histogram.
        latency_p99_ms: 99th percentile of the latency, from the same histogram.
        latency_provenance: "measured", "calibrated" or "modelled"; several are joined by ", ".
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
    """Energy of the answers of one route, from one source and of one provenance.

    Attributes:
        route: where the inputs were answered.
        source: "compute" or "radio".
        provenance: "measured", "calibrated" or "modelled".
        answers: number of answers that reported this energy.
        energy_mj: sum over these answers.
    """

    route: str
    source: str
    provenance: str
    answers: int
    energy_mj: float


@dataclass(frozen=True, kw_only=True)
class CloudOnly:
    """Energy and bytes that the same inputs would have taken if all had been sent to the cloud.

    Attributes:
        provenance: provenance of the energy.
        answers: number of answers that reported these figures.
        energy_mj: energy of the radio.
        size_bytes: bytes on the link, sent and received.
    """

    provenance: str
    answers: int
    energy_mj: float
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """One step of a series over time.

    Attributes:
        start_ms: start of the step.
        routes: number of answers by route.
        fallbacks: number of answers for which the cloud was asked without success.
        energy_mj: energy by (source, provenance).
    """

    start_ms: int
    routes: Mapping[str, int]
    fallbacks: int
    energy_mj: Mapping[tuple[str, str], float]


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Figures over a time range, of a fleet or of one device.

    Attributes:
        answers: number of inputs answered.
        fallbacks: number of these answers for which the cloud was asked without success.
        routes: figures by route; capacities first, the cloud last.
        energy: energy by route, source and provenance.
        cloud_only: the cost of sending every input to the cloud, by provenance.
        bytes_up: bytes that devices sent for offloads.
        bytes_down: bytes that devices received for offloads.
        series: all steps of the range, oldest first, including those without answers.
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
    """Figures of the whole fleet over a time range.

    Attributes:
        range: time range of the figures.
        known: number of devices that have ever reported.
        online: number of devices that are connected now.
        answering: number of devices that answered at least one input in the range.
        bundles: number of devices by the bundle version that they last reported.
        residents: number of devices by the resident capacity that they last reported. Counts only
            devices with a resident capacity that have answered since the range began.
        totals: figures of their answers.
        dropped: number of receipts that full outboxes have dropped since the store was created.
        shared: ids of devices under whose identity several copies of a state folder report now.
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
    """One row of the table of devices: what the device last reported.

    Attributes:
        device: the device's id.
        profile: name of its board, "" if unknown.
        online: whether it is connected.
        last_seen_ms: time of its last message.
        bundle_version: version of the bundle that it runs, "" if unknown.
        capacity: resident capacity, 0 if none.
        battery: charge left, 0 to 1.
        outbox_depth: number of receipts in its outbox.
        offload_share: target share in force on the device; None if it has another kind of target,
            or has not reported.
        target_share: target share set in the console; None if the device's own configuration
            applies.
        drifting: whether its inputs are harder than those of the calibration; None if unknown.
        answers: number of inputs that it has ever answered.
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
    """One answer on a device's page, taken from its receipt.

    Attributes:
        answered_at_ms: time of the answer.
        input_index: number of the input, counted by the device.
        route: where the input was answered: "capacity-<k>" or "cloud".
        reason: why it was answered there.
        answer: index of the class.
        resident_capacity: capacity that was resident on the device.
        latency_ms: time from the input to the answer.
        energy_compute_mj: energy of computing.
        energy_radio_mj: energy of the radio.
        energy_provenance: least certain provenance of the energies, "none" without any.
        budget_memory_bytes: memory that the resident capacity may take.
        budget_energy_mj: energy that one answer may take.
        budget_battery: charge left, 0 to 1.
        budget_link_mbit_s: throughput of the link; 0 without a link.
        budget_offload_share: target share in force.
    """

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
    """Figures of one device over a time range.

    Attributes:
        range: time range of the figures.
        row: what the device last reported.
        totals: figures of its answers.
        answers: its latest answers, oldest first.
        hard_inputs: inputs that it sent to the cloud, newest first.
        copies: number of copies of its state folder that report now; it should be 1.
    """

    range: TimeRange
    row: DeviceRow
    totals: Totals
    answers: tuple[AnswerPoint, ...]
    hard_inputs: tuple[HardInput, ...]
    copies: int = 1
