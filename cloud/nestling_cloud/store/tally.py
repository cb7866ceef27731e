"""Sums up answers by kind. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from nestling_cloud.store import histogram
from nestling_cloud.store.receipt_row import ReceiptRow

# Reasons why a device answered itself after it had asked the cloud.
FALLBACKS = frozenset({"deadline_missed", "unreachable", "bad_answer"})


class Kind(NamedTuple):
    """The properties that answers must share to be added up, provenances among them.

    Attributes:
        route: "capacity-<k>" or "cloud".
        fallback: whether the device answered after an offload had failed.
        latency_provenance: provenance of the latency.
        compute_provenance: provenance of the compute energy.
        radio_provenance: provenance of the radio energy.
        offload_provenance: provenance of the energy that an offload would have taken.
    """

    route: str
    fallback: bool
    latency_provenance: str
    compute_provenance: str
    radio_provenance: str
    offload_provenance: str


@dataclass(slots=True)
class Tally:
    """Sums over answers.

    Attributes:
        answers: number of answers.
        energy_compute_mj: compute energy spent.
        energy_radio_mj: radio energy spent.
        bytes_up: bytes sent for offloads.
        bytes_down: bytes received for offloads.
        offload_energy_mj: radio energy if every input had been offloaded.
        offload_bytes: bytes in both directions if every input had been offloaded.
        latencies: number of answers by latency bin, see `histogram`.
    """

    answers: int = 0
    energy_compute_mj: float = 0.0
    energy_radio_mj: float = 0.0
    bytes_up: int = 0
    bytes_down: int = 0
    offload_energy_mj: float = 0.0
    offload_bytes: int = 0
    latencies: dict[int, int] = field(default_factory=dict)

    def count(self, row: ReceiptRow) -> None:
        """Add one answer."""
        self.answers += 1
        self.energy_compute_mj += row.energy_compute_mj
        self.energy_radio_mj += row.energy_radio_mj
        self.bytes_up += row.bytes_up
        self.bytes_down += row.bytes_down
        self.offload_energy_mj += row.offload_energy_mj
        self.offload_bytes += row.offload_bytes
        number = histogram.bin_of(row.latency_ms)
        self.latencies[number] = self.latencies.get(number, 0) + 1

    def add(self, other: "Tally") -> None:
        """Add the answers of another tally."""
        self.answers += other.answers
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
    """Sum up answers by device, start of the step in ms, and kind.

    Args:
        rows: the answers.
        step_ms: length of a step; steps start at multiples of it.
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
