"""Meters: what running a model and talking to the cloud took, and how that is known."""

from dataclasses import dataclass
from typing import Protocol

from nestling.admission import transfer_ms
from nestling.v1.budget_pb2 import Budget
from nestling.v1.receipt_pb2 import PROVENANCE_MEASURED, PROVENANCE_MODELLED, Provenance
from nestling_device.energy.profile import Board, Link


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Time and energy of one step."""

    latency_ms: float
    energy_mj: float


class Meter(Protocol):
    """Tells what a step took."""

    latency_provenance: Provenance.ValueType
    energy_provenance: Provenance.ValueType

    def compute(self, macs: int, wall_ms: float) -> Spent:
        """One run of a model: its multiply-accumulates, and how long it took here."""
        ...

    def radio(self, size_bytes: int, budget: Budget, wall_ms: float) -> Spent:
        """One exchange with the cloud: bytes both ways, and how long it took here."""
        ...


@dataclass(frozen=True)
class ProfileMeter:
    """A simulated board: time and energy both follow from its profile and the budget's link.

    Nothing here depends on the machine that simulates, so a run repeats exactly.
    """

    board: Board
    link: Link
    latency_provenance: Provenance.ValueType = PROVENANCE_MODELLED
    energy_provenance: Provenance.ValueType = PROVENANCE_MODELLED

    def compute(self, macs: int, wall_ms: float) -> Spent:
        """Modelled from multiply-accumulates."""
        del wall_ms
        busy_ms = self.board.compute_ms(macs)
        return Spent(latency_ms=busy_ms, energy_mj=self.board.compute_mj(busy_ms))

    def radio(self, size_bytes: int, budget: Budget, wall_ms: float) -> Spent:
        """Modelled from bytes and the link's throughput and round trip."""
        del wall_ms
        return Spent(
            latency_ms=transfer_ms(size_bytes, budget) if size_bytes else 0.0,
            energy_mj=self.link.transfer_mj(size_bytes, budget.link_mbit_s),
        )


@dataclass(frozen=True)
class ClockMeter:
    """A real board without a power meter: measured time, energy modelled from it."""

    board: Board
    link: Link
    latency_provenance: Provenance.ValueType = PROVENANCE_MEASURED
    energy_provenance: Provenance.ValueType = PROVENANCE_MODELLED

    def compute(self, macs: int, wall_ms: float) -> Spent:
        """Measured time at the board's busy power."""
        del macs
        return Spent(latency_ms=wall_ms, energy_mj=self.board.compute_mj(wall_ms))

    def radio(self, size_bytes: int, budget: Budget, wall_ms: float) -> Spent:
        """Measured time; energy from the bytes and the link's throughput."""
        return Spent(
            latency_ms=wall_ms,
            energy_mj=self.link.transfer_mj(size_bytes, budget.link_mbit_s),
        )
