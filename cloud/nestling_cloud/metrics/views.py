"""Defines what the console and the API show of a fleet, and of a single device.

Times are in Unix milliseconds, shares are from 0 to 1, and energies are in millijoules.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from nestling_cloud.metrics.figures import Totals
from nestling_cloud.metrics.fleet_guarantees import FleetGuarantees
from nestling_cloud.store.hard_inputs import HardInput
from nestling_cloud.store.time_range import TimeRange


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
        guarantees: what the devices last reported about their tolerated risks.
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
    guarantees: FleetGuarantees
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
        pending: the number of inputs that the device has answered and about which it will still ask
            the cloud; 0 if unknown.
        tolerated_risk: the tolerated share of the answers kept by choice that the cloud would
            change if it were asked; None if the device has another kind of target, or has not
            reported.
        guaranteed_since_ms: the time since which the tolerated risk is guaranteed; None if it is
            not guaranteed.
        inputs_to_go: the estimated number of further inputs until the risk is guaranteed; None if
            unknown.
        guarantee_alarms: how often the device has found the risk exceeded; None if unknown, or
            without a tolerated risk.
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
    pending: int
    tolerated_risk: float | None
    guaranteed_since_ms: int | None
    inputs_to_go: int | None
    guarantee_alarms: int | None
    answers: int


@dataclass(frozen=True, kw_only=True)
class AnswerPoint:
    """One answer or one follow-up on a device's page, taken from its receipt.

    A follow-up says what the cloud answered later to an input that the device had answered. Its
    latency is the time from the first answer to the revised one.

    Attributes:
        answered_at_ms: the time of the answer.
        input_index: the position of the input in the device's source.
        route: the place where the input was answered, "capacity-<k>" or "cloud".
        reason: the reason why the input was answered there.
        answer: the code of the answer, as in `ReceiptRow`: in a single-label task the index of the
            class.
        values: the values of the answer in a regression task, or its score in an anomaly task;
            otherwise empty.
        device_confidence: the probability that the device's own answer is right, as estimated by
            the device and, except under a tolerated risk, corrected by the cloud's earlier answers;
            0 if unknown.
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
        follow_up: the reason why the cloud is asked afterwards, "deferred" or "audit"; "" if the
            cloud is not asked. A first receipt announces the follow-up.
        follows: the fingerprint of the first receipt, in a follow-up; None in a first receipt. It
            has 64 bits, which JavaScript rounds.
    """

    answered_at_ms: int
    input_index: int
    route: str
    reason: str
    answer: int
    values: tuple[float, ...]
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
    follow_up: str
    follows: int | None


@dataclass(frozen=True, kw_only=True)
class DeviceView:
    """Figures of one device over a time range.

    Attributes:
        range: the time range of the figures.
        row: the state that the device last reported.
        totals: the figures of the device's answers.
        answers: the device's latest answers and follow-ups in the range, oldest first.
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
