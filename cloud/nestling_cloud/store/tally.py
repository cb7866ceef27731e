"""Adds up the figures of receipts, such as their energies, by kind of receipt.

A follow-up, which says what the cloud answered later, does not count as an answer. Only its energy,
its bytes and its verdict on the first answer are added. The functions are pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from nestling_cloud.store import histogram
from nestling_cloud.store.receipt_row import (
    AUDIT,
    DEFERRED,
    EXPIRED,
    NO_PROVENANCE,
    ReceiptRow,
)

# Reasons why a device answered itself after it had asked the cloud.
FALLBACKS = frozenset({"deadline_missed", "unreachable", "overloaded", "bad_answer"})
# The route of follow-ups, so that their energy is in no figure per answer of the cloud.
FOLLOW_UP = "follow-up"


class Kind(NamedTuple):
    """The properties that receipts must have in common for their figures to be added up.

    A provenance says how a figure is known, for example "measured" or "modelled".

    Attributes:
        route: the place where the input was answered, "capacity-<k>" or "cloud"; "follow-up" for
            follow-ups.
        fallback: whether the device answered because the cloud was asked but gave no usable answer
            in time.
        latency_provenance: the provenance of the latency; "none" for follow-ups, whose latency is
            not that of an answer.
        compute_provenance: the provenance of the compute energy.
        radio_provenance: the provenance of the radio energy.
        offload_provenance: the provenance of the energy that sending the input to the cloud takes;
            "none" for follow-ups, because this energy counts once for an input.
    """

    route: str
    fallback: bool
    latency_provenance: str
    compute_provenance: str
    radio_provenance: str
    offload_provenance: str


@dataclass(slots=True)
class Tally:
    """The sums of the figures of several receipts.

    Attributes:
        answers: the number of answers, not counting follow-ups.
        estimated_answers: the number of answers that came from the devices' own models, with an
            estimate of the probability that they are right.
        expected_right: the sum of these probabilities.
        energy_compute_mj: the compute energy that answers and follow-ups took.
        energy_radio_mj: the radio energy that answers and follow-ups took.
        bytes_up: the number of bytes sent for offloads and follow-ups.
        bytes_down: the number of bytes received for offloads and follow-ups.
        offload_energy_mj: the radio energy that sending every input to the cloud would have taken.
        offload_bytes: the number of bytes in both directions that sending every input to the cloud
            would have taken.
        latencies: a mapping from the number of a latency bin to the number of answers in the bin,
            see `histogram`.
        audited: the number of audits that the cloud answered. An audit is a random check of an
            answer that a device kept by choice: the cloud answers the same input.
        agreeing: the number of audits in which the cloud agreed with the device.
        deferred: the number of answers that announced that the cloud would be asked later.
        revised: the number of deferred inputs that the cloud answered later.
        changed: the number of these inputs for which the cloud's answer differs from the first.
        expired: the number of deferred inputs and audits that the cloud did not answer, and about
            which it is no longer asked.
    """

    answers: int = 0
    estimated_answers: int = 0
    expected_right: float = 0.0
    energy_compute_mj: float = 0.0
    energy_radio_mj: float = 0.0
    bytes_up: int = 0
    bytes_down: int = 0
    offload_energy_mj: float = 0.0
    offload_bytes: int = 0
    latencies: dict[int, int] = field(default_factory=dict)
    audited: int = 0
    agreeing: int = 0
    deferred: int = 0
    revised: int = 0
    changed: int = 0
    expired: int = 0

    @property
    def receipts(self) -> int:
        """The number of receipts, including those of follow-ups."""
        return self.answers + self.audited + self.revised + self.expired

    def count(self, row: ReceiptRow) -> None:
        """Add the figures of one receipt."""
        self.energy_compute_mj += row.energy_compute_mj
        self.energy_radio_mj += row.energy_radio_mj
        self.bytes_up += row.bytes_up
        self.bytes_down += row.bytes_down
        if row.follows is None:
            self._count_answer(row)
        else:
            self._count_follow_up(row)

    def _count_answer(self, row: ReceiptRow) -> None:
        self.answers += 1
        self.deferred += row.follow_up == DEFERRED
        if row.device_confidence > 0 and row.route != "cloud":
            self.estimated_answers += 1
            self.expected_right += row.device_confidence
        self.offload_energy_mj += row.offload_energy_mj
        self.offload_bytes += row.offload_bytes
        number = histogram.bin_of(row.latency_ms)
        self.latencies[number] = self.latencies.get(number, 0) + 1

    def _count_follow_up(self, row: ReceiptRow) -> None:
        agrees = row.agreement == 1
        if row.reason == EXPIRED:
            self.expired += 1
        elif row.follow_up == AUDIT:
            self.audited += 1
            self.agreeing += agrees
        else:
            self.revised += 1
            self.changed += not agrees

    def add(self, other: "Tally") -> None:
        """Add the sums of another tally."""
        self.answers += other.answers
        self.estimated_answers += other.estimated_answers
        self.expected_right += other.expected_right
        self.energy_compute_mj += other.energy_compute_mj
        self.energy_radio_mj += other.energy_radio_mj
        self.bytes_up += other.bytes_up
        self.bytes_down += other.bytes_down
        self.offload_energy_mj += other.offload_energy_mj
        self.offload_bytes += other.offload_bytes
        for number, count in other.latencies.items():
            self.latencies[number] = self.latencies.get(number, 0) + count
        self.audited += other.audited
        self.agreeing += other.agreeing
        self.deferred += other.deferred
        self.revised += other.revised
        self.changed += other.changed
        self.expired += other.expired

    def subtract(self, other: "Tally") -> None:
        """Subtract the sums of another tally, whose receipts are a part of this tally's.

        A difference below 0, which rounding and capped sums may cause, becomes 0.
        """
        for name in self.__dataclass_fields__:
            if name != "latencies":
                setattr(self, name, max(getattr(self, name) - getattr(other, name), 0))
        for number, count in other.latencies.items():
            left = self.latencies.pop(number, 0) - count
            if left > 0:
                self.latencies[number] = left


def kind_of(row: ReceiptRow) -> Kind:
    """Return the kind of a receipt."""
    if row.follows is not None:
        return Kind(
            FOLLOW_UP,
            fallback=False,
            latency_provenance=NO_PROVENANCE,
            compute_provenance=row.energy_compute_provenance,
            radio_provenance=row.energy_radio_provenance,
            offload_provenance=NO_PROVENANCE,
        )
    return Kind(
        row.route,
        row.reason in FALLBACKS,
        row.latency_provenance,
        row.energy_compute_provenance,
        row.energy_radio_provenance,
        row.offload_energy_provenance,
    )


def tally(rows: Iterable[ReceiptRow], step_ms: int) -> dict[tuple[str, int, Kind], Tally]:
    """Add up the figures of receipts by device, step of time and kind.

    Args:
        rows: the receipts.
        step_ms: the length of a step in ms; every step starts at a multiple of this length.

    Returns:
        A mapping from the device's id, the start of the step in ms, and the kind to the sums.
    """
    tallies: dict[tuple[str, int, Kind], Tally] = {}
    for row in rows:
        start_ms = row.answered_at_ms - row.answered_at_ms % step_ms
        key = row.device, start_ms, kind_of(row)
        found = tallies.get(key)
        if found is None:
            found = tallies[key] = Tally()
        found.count(row)
    return tallies
