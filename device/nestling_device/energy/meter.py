"""Meters: what running a model and talking to the cloud took, and how that is known."""

import time
from dataclasses import dataclass
from typing import Protocol

from nestling.v1.budget_pb2 import Budget
from nestling.v1.receipt_pb2 import (
    PROVENANCE_CALIBRATED,
    PROVENANCE_MEASURED,
    PROVENANCE_MODELLED,
    Provenance,
)
from nestling_core.routing.admission import transfer_ms
from nestling_device.energy.power_tables import Board, Link
from nestling_device.energy.sampler import Sampler


@dataclass(frozen=True, kw_only=True)
class StepCost:
    """Time and energy of one step, and how the energy is known."""

    latency_ms: float
    energy_mj: float
    energy_provenance: Provenance.ValueType = PROVENANCE_MODELLED


class Meter(Protocol):
    """Tells what a step will take, and what it took."""

    @property
    def latency_provenance(self) -> Provenance.ValueType:
        """How its times come about."""
        ...

    @property
    def energy_provenance(self) -> Provenance.ValueType:
        """How the energies come about that it tells ahead."""
        ...

    def estimate(self, macs: int) -> StepCost:
        """Tell ahead what one run of a model will take."""
        ...

    def radio_mj(self, size_bytes: int, budget: Budget) -> float:
        """Tell ahead the energy of moving so many bytes over the budget's link."""
        ...

    def compute(self, macs: int, wall_ms: float) -> StepCost:
        """One run of a model: its multiply-accumulates, and how long it took here."""
        ...

    def radio(self, size_bytes: int, budget: Budget, wall_ms: float) -> StepCost:
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

    def estimate(self, macs: int) -> StepCost:
        """Modelled from multiply-accumulates."""
        busy_ms = self.board.compute_ms(macs)
        return StepCost(latency_ms=busy_ms, energy_mj=self.board.compute_mj(busy_ms))

    def radio_mj(self, size_bytes: int, budget: Budget) -> float:
        """Modelled from bytes and the budget's throughput."""
        return self.link.transfer_mj(size_bytes, budget.link_mbit_s)

    def compute(self, macs: int, wall_ms: float) -> StepCost:
        """What was estimated."""
        del wall_ms
        return self.estimate(macs)

    def radio(self, size_bytes: int, budget: Budget, wall_ms: float) -> StepCost:
        """Modelled from bytes and the link's throughput and round trip."""
        del wall_ms
        return StepCost(
            latency_ms=transfer_ms(size_bytes, budget),
            energy_mj=self.radio_mj(size_bytes, budget),
        )


@dataclass(frozen=True)
class ClockMeter(ProfileMeter):
    """A real board without a power meter: measured time, energy modelled from it."""

    latency_provenance: Provenance.ValueType = PROVENANCE_MEASURED

    def compute(self, macs: int, wall_ms: float) -> StepCost:
        """Measured time at the board's busy power."""
        del macs
        return StepCost(latency_ms=wall_ms, energy_mj=self.board.compute_mj(wall_ms))

    def radio(self, size_bytes: int, budget: Budget, wall_ms: float) -> StepCost:
        """Measured time; energy from the bytes and the link's throughput."""
        return StepCost(latency_ms=wall_ms, energy_mj=self.radio_mj(size_bytes, budget))


@dataclass(frozen=True, kw_only=True)
class Powers:
    """What a profile found that this machine draws, watts.

    Attributes:
        idle_w: while nothing ran.
        active_w: what running a network adds.
    """

    idle_w: float
    active_w: float


@dataclass(frozen=True, kw_only=True)
class CalibratedMeter(ClockMeter):
    """A real board whose powers were measured: time measured, energy measured where that can be.

    An instrument tells the energy of a step that is long enough for several of its readings. For a
    shorter one, and without an instrument, it is measured time at the power that a profile found
    over thousands of runs: calibrated, never called measured. The radio's energy stays modelled,
    because an instrument sees the whole board and cannot tell waiting from sending.

    Attributes:
        powers: of this machine.
        sampler: reads an instrument; runs for as long as the meter is used.
    """

    powers: Powers
    sampler: Sampler | None = None

    def compute(self, macs: int, wall_ms: float) -> StepCost:
        """Measured time; measured or calibrated energy. To be called when the step has ended."""
        del macs
        spent = self._measured(time.monotonic(), wall_ms / 1e3)
        if spent is not None:
            return spent
        return StepCost(
            latency_ms=wall_ms,
            energy_mj=wall_ms * self.powers.active_w,
            energy_provenance=PROVENANCE_CALIBRATED,
        )

    def _measured(self, end_s: float, wall_s: float) -> StepCost | None:
        if self.sampler is None:
            return None
        joules = self.sampler.joules(end_s - wall_s, end_s)
        if joules is None:
            return None
        above_idle = max(0.0, joules - self.powers.idle_w * wall_s)
        return StepCost(
            latency_ms=wall_s * 1e3,
            energy_mj=above_idle * 1e3,
            energy_provenance=self.sampler.provenance,
        )
