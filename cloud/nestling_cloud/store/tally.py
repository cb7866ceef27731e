"""Adds up the figures of answers, such as their energies, by kind of answer.

The functions are pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from nestling_cloud.store import histogram
from nestling_cloud.store.receipt_row import ReceiptRow

# Reasons why a device answered itself after it had asked the cloud.
FALLBACKS = frozenset({"deadline_missed", "unreachable", "overloaded", "bad_answer"})


class Kind(NamedTuple):
    """The properties that answers must have in common for their figures to be added up.

    A provenance says how a figure is known, for example "measured" or "modelled".

    Attributes:
        route: the place where the input was answered, "capacity-<k>" or "cloud".
        fallback: whether the device answered because sending the input to the cloud had failed.
        latency_provenance: the provenance of the latency.
        compute_provenance: the provenance of the compute energy.
        radio_provenance: the provenance of the radio energy.
        offload_provenance: the provenance of the energy that sending the input to the cloud takes.
    """

    route: str
    fallback: bool
    latency_provenance: str
    compute_provenance: str
    radio_provenance: str
    offload_provenance: str


@dataclass(slots=True)
class Tally:
    """The sums of the figures of several answers.

    Attributes:
        answers: the number of answers.
        estimated_answers: the number of answers that devices gave themselves, with an estimate of
            the probability that they are right.
        expected_right: the sum of these probabilities.
        energy_compute_mj: the compute energy that the answers took.
        energy_radio_mj: the radio energy that the answers took.
        bytes_up: the number of bytes sent for offloads.
        bytes_down: the number of bytes received for offloads.
        offload_energy_mj: the radio energy that sending every input to the cloud would have taken.
        offload_bytes: the number of bytes in both directions that sending every input to the cloud
            would have taken.
        latencies: a mapping from the number of a latency bin to the number of answers in the bin,
            see `histogram`.
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

    def count(self, row: ReceiptRow) -> None:
        """Add the figures of one answer."""
        self.answers += 1
        if row.device_confidence > 0 and row.route != "cloud":
            self.estimated_answers += 1
            self.expected_right += row.device_confidence
        self.energy_compute_mj += row.energy_compute_mj
        self.energy_radio_mj += row.energy_radio_mj
        self.bytes_up += row.bytes_up
        self.bytes_down += row.bytes_down
        self.offload_energy_mj += row.offload_energy_mj
        self.offload_bytes += row.offload_bytes
        number = histogram.bin_of(row.latency_ms)
        self.latencies[number] = self.latencies.get(number, 0) + 1

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


def kind_of(row: ReceiptRow) -> Kind:
    """Return the kind of an answer."""
    return Kind(
        row.route,
        row.reason in FALLBACKS,
        row.latency_provenance,
        row.energy_compute_provenance,
        row.energy_radio_provenance,
        row.offload_energy_provenance,
    )


def tally(rows: Iterable[ReceiptRow], step_ms: int) -> dict[tuple[str, int, Kind], Tally]:
    """Add up the figures of answers by device, step of time and kind.

    Args:
        rows: the receipts of the answers.
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
