"""Defines the types of the figures that the console and the API show.

The figures describe a fleet or a single device. Every energy has a source and a provenance, which
says whether the energy is measured, calibrated or modelled. Energies of different provenance are
never added, because such a sum has no meaning. Times are in Unix milliseconds, shares are from 0 to
1, and energies are in millijoules.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from nestling_cloud.store.hard_inputs import HardInput
from nestling_cloud.store.time_range import TimeRange


@dataclass(frozen=True, kw_only=True)
class RouteFigures:
    """Figures of the answers of one route.

    Attributes:
        route: the place where the inputs were answered, "capacity-<k>" or "cloud".
        answers: the number of answers.
        fallbacks: the number of these answers that devices gave because the cloud failed to answer.
        latency_p50_ms: the median latency, estimated from a histogram with an error of up to 5 %.
        latency_p95_ms: the 95th percentile of the latency, estimated in the same way.
        latency_p99_ms: the 99th percentile of the latency, estimated in the same way.
        latency_provenance: how the latencies are known: "measured", "calibrated" or "modelled".
            If the answers differ, all the words that apply are joined by ", ".
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
    """Energy of one source and one provenance, summed over the answers of one route.

    Attributes:
        route: the place where the inputs were answered, "capacity-<k>" or "cloud".
        source: the source of the energy, "compute" or "radio".
        provenance: how the energy is known: "measured", "calibrated" or "modelled".
        answers: the number of answers that reported this energy.
        energy_mj: the sum of the energy over these answers.
    """

    route: str
    source: str
    provenance: str
    answers: int
    energy_mj: float


@dataclass(frozen=True, kw_only=True)
class CloudOnly:
    """Energy and bytes that sending all answered inputs to the cloud would have taken.

    Attributes:
        provenance: how the energy is known: "measured", "calibrated" or "modelled".
        answers: the number of answers that reported these figures.
        energy_mj: the radio energy for all of these answers' inputs.
        size_bytes: the number of bytes sent and received for all of these answers' inputs.
    """

    provenance: str
    answers: int
    energy_mj: float
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """One step of a series over time.

    Attributes:
        start_ms: the start of the step.
        routes: a mapping from each route to the number of its answers.
        fallbacks: the number of answers that devices gave because the cloud failed to answer.
        energy_mj: a mapping from each pair (source, provenance) to the sum of the energy.
    """

    start_ms: int
    routes: Mapping[str, int]
    fallbacks: int
    energy_mj: Mapping[tuple[str, str], float]


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Figures over a time range, of a fleet or of one device.

    Attributes:
        answers: the number of answers.
        fallbacks: the number of these answers that devices gave because the cloud failed to answer.
        routes: the figures by route; capacities come first, and the cloud comes last.
        energy: the energy by route, source and provenance.
        cloud_only: the cost of sending every input to the cloud, by provenance.
        bytes_up: the bytes that devices sent for offloads.
        bytes_down: the bytes that devices received for offloads.
        series: all steps of the range, oldest first, including those without answers.
        step_ms: the length of a step.
        estimated_answers: the number of answers that devices gave themselves, with an estimate of
            the probability that they are right.
        expected_right: the sum of these probabilities, which the devices correct by the cloud's
            answers.
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
    estimated_answers: int = 0
    expected_right: float = 0.0

    @property
    def device_accuracy(self) -> float | None:
        """The accuracy that the devices expect of the answers that they gave themselves.

        It is None if no answer came with an estimate.
        """
        return self.expected_right / self.estimated_answers if self.estimated_answers else None


@dataclass(frozen=True, kw_only=True)
class FleetView:
    """Figures of the whole fleet over a time range.

    Attributes:
        range: the time range of the figures.
        known: the number of devices that have ever reported.
        online: the number of devices that are connected now.
        answering: the number of devices that answered at least one input in the range.
        bundles: a mapping from each bundle version to the number of devices that reported it last.
        residents: a mapping from each resident capacity (the largest capacity in memory) to the
            number of devices that reported it last. Only devices that have answered since the range
            began are counted.
        totals: the figures of the devices' answers.
        dropped: the number of receipts that full outboxes have dropped since the store was created.
        shared: the sorted ids of devices for which several copies of the state folder have reported
            in the last hour.
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
    """One row of the table of devices, with what the device last reported.

    Attributes:
        device: the device's id.
        profile: the name of the device's board, or "" if unknown.
        online: whether the device is connected.
        last_seen_ms: the time of the device's last message.
        bundle_version: the version of the bundle that the device runs, or "" if unknown.
        capacity: the resident capacity (the largest capacity in memory), or 0 if none or unknown.
        battery: the charge left, 0 to 1, or 0 if unknown.
        outbox_depth: the number of receipts in the device's outbox, which the cloud has not
            acknowledged yet; 0 if unknown.
        offload_share: the share of inputs that the device aims to send to the cloud; None if the
            device has another kind of target, or has not reported.
        target_share: the target share set in the console for the device or, without such a target,
            for the fleet; None if the device's own configuration applies.
        drifting: whether the device's inputs have become harder than those that the bundle was
            calibrated on; None if unknown.
        answers: the number of inputs that the device has ever answered.
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
        answered_at_ms: the time of the answer.
        input_index: the position of the input in the device's source.
        route: the place where the input was answered, "capacity-<k>" or "cloud".
        reason: the reason why the input was answered there.
        answer: the index of the class that was answered.
        device_confidence: the probability that the device's own answer is right, as estimated by
            the device and corrected by the cloud's earlier answers; 0 if unknown.
        resident_capacity: the largest capacity in memory when the input arrived.
        latency_ms: the time from the input to the answer.
        energy_compute_mj: the energy of computing.
        energy_radio_mj: the energy of the radio.
        energy_provenance: the least certain provenance of the energies, or "none" if no energy was
            reported.
        budget_memory_bytes: the memory that the resident capacity may take.
        budget_energy_mj: the energy that one answer may take.
        budget_battery: the charge left, 0 to 1.
        budget_link_mbit_s: the throughput of the link, or 0 if there is no link.
        budget_offload_share: the share of inputs that the device aimed to send to the cloud.
    """

    answered_at_ms: int
    input_index: int
    route: str
    reason: str
    answer: int
    device_confidence: float
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
        range: the time range of the figures.
        row: the state that the device last reported.
        totals: the figures of the device's answers.
        answers: the device's latest answers in the range, oldest first.
        hard_inputs: the latest inputs that the device sent to the cloud, newest first. They need
            not be in the time range.
        copies: the number of copies of the device's state folder that have reported in the last
            hour, which should be 1.
    """

    range: TimeRange
    row: DeviceRow
    totals: Totals
    answers: tuple[AnswerPoint, ...]
    hard_inputs: tuple[HardInput, ...]
    copies: int = 1
