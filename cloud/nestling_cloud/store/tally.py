"""Answers of one kind, summed up. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from nestling_cloud.store import histogram
from nestling_cloud.store.receipt_row import ReceiptRow

# Why a device answered itself although it had asked the cloud.
FALLBACKS = frozenset({"deadline_missed", "unreachable", "bad_answer"})


class Kind(NamedTuple):
    """What answers must have in common to be summed up: figures of two provenances never are."""

    route: str
    fallback: bool
    latency_provenance: str
    compute_provenance: str
    radio_provenance: str
    offload_provenance: str


@dataclass(slots=True)
class Tally:
    """Sums over some answers.

    Attributes:
        answers: how many.
        energy_compute_mj: spent.
        energy_radio_mj: spent.
        bytes_up: sent for offloads.
        bytes_down: received for them.
        offload_energy_mj: that the radio would have taken, had all been sent to the cloud.
        offload_bytes: likewise, both ways.
        latencies: answers by bin of their latency.
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
        place = histogram.bin_of(row.latency_ms)
        self.latencies[place] = self.latencies.get(place, 0) + 1

    def add(self, other: "Tally") -> None:
        """Add the answers of another tally."""
        self.answers += other.answers
        self.energy_compute_mj += other.energy_compute_mj
        self.energy_radio_mj += other.energy_radio_mj
        self.bytes_up += other.bytes_up
        self.bytes_down += other.bytes_down
        self.offload_energy_mj += other.offload_energy_mj
        self.offload_bytes += other.offload_bytes
        for place, count in other.latencies.items():
            self.latencies[place] = self.latencies.get(place, 0) + count


def kind_of(row: ReceiptRow) -> Kind:
    """Kind of an answer."""
    return Kind(
        row.route,
        row.reason in FALLBACKS,
        row.latency_provenance,
        row.energy_compute_provenance,
        row.energy_radio_provenance,
        row.offload_energy_provenance,
    )


def tally(rows: Iterable[ReceiptRow], step_ms: int) -> dict[tuple[str, int, Kind], Tally]:
    """Sum answers up by device, start of the step, and kind.

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
