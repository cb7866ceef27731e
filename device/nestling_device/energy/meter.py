"""Meters: the time and energy of running a model and of exchanges with the cloud.

Every energy has a provenance: measured by an instrument, calibrated from powers measured on this
machine, or modelled from published figures. `Meter` is the port; the implementations are:

- `ProfileMeter`: time and energy modelled, for simulated boards;
- `ClockMeter`: time measured, energy modelled;
- `CalibratedMeter`: time measured, energy measured or calibrated.
"""

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
from nestling_device.energy.offload_energy import offload_mj
from nestling_device.energy.power_tables import Board, Link
from nestling_device.energy.sampler import Sampler


@dataclass(frozen=True, kw_only=True)
class StepCost:
    """Time and energy of one step.

    Attributes:
        latency_ms: time of the step.
        energy_mj: energy of the step above idle.
        energy_provenance: how the energy is known.
    """

    latency_ms: float
    energy_mj: float
    energy_provenance: Provenance.ValueType = PROVENANCE_MODELLED


class Meter(Protocol):
    """Predicts what a step will cost, and reports what it did cost."""

    @property
    def latency_provenance(self) -> Provenance.ValueType:
        """How the times of this meter are known."""
        ...

    @property
    def energy_provenance(self) -> Provenance.ValueType:
        """How the energies that this meter predicts are known."""
        ...

    def estimate(self, macs: int) -> StepCost:
        """Predict the cost of one run of a model, given its multiply-accumulates."""
        ...

    def radio_mj(self, size_bytes: int, budget: Budget) -> float:
        """Predict the energy of a transfer over the budget's link, in mJ.

        Args:
            size_bytes: bytes on the link, both ways.
            budget: gives the throughput of the link.
        """
        ...

    def compute(self, macs: int, wall_ms: float) -> StepCost:
        """Return the cost of a run that has just ended.

        Args:
            macs: multiply-accumulates of the run.
            wall_ms: measured time of the run on this machine.
        """
        ...

    def radio(self, size_bytes: int, budget: Budget, wall_ms: float) -> StepCost:
        """Return the cost of an exchange with the cloud.

        Args:
            size_bytes: bytes on the link, both ways.
            budget: gives throughput and round trip of the link.
            wall_ms: measured time of the exchange on this machine.
        """
        ...


@dataclass(frozen=True)
class ProfileMeter:
    """Models the time and energy of a simulated board.

    Both follow from the board's profile and the budget's link, not from the machine that runs the
    simulation, so a run repeats exactly.
    """

    board: Board
    link: Link
    latency_provenance: Provenance.ValueType = PROVENANCE_MODELLED
    energy_provenance: Provenance.ValueType = PROVENANCE_MODELLED

    def estimate(self, macs: int) -> StepCost:
        """Model a run from its multiply-accumulates."""
        busy_ms = self.board.compute_ms(macs)
        return StepCost(latency_ms=busy_ms, energy_mj=self.board.compute_mj(busy_ms))

    def radio_mj(self, size_bytes: int, budget: Budget) -> float:
        """Model the energy from the bytes and the budget's throughput."""
        return offload_mj(self.link, size_bytes, budget.link_mbit_s)

    def compute(self, macs: int, wall_ms: float) -> StepCost:
        """Return the estimate; the measured time is not used."""
        del wall_ms
        return self.estimate(macs)

    def radio(self, size_bytes: int, budget: Budget, wall_ms: float) -> StepCost:
        """Model an exchange from the bytes and the link's throughput and round trip."""
        del wall_ms
        return StepCost(
            latency_ms=transfer_ms(size_bytes, budget),
            energy_mj=self.radio_mj(size_bytes, budget),
        )


@dataclass(frozen=True)
class ClockMeter(ProfileMeter):
    """Measures time on a real board, and models the energy from it."""

    latency_provenance: Provenance.ValueType = PROVENANCE_MEASURED

    def compute(self, macs: int, wall_ms: float) -> StepCost:
        """Return the measured time and the energy at the board's busy power."""
        del macs
        return StepCost(latency_ms=wall_ms, energy_mj=self.board.compute_mj(wall_ms))

    def radio(self, size_bytes: int, budget: Budget, wall_ms: float) -> StepCost:
        """Return the measured time and the energy modelled from the bytes."""
        return StepCost(latency_ms=wall_ms, energy_mj=self.radio_mj(size_bytes, budget))


@dataclass(frozen=True, kw_only=True)
class Powers:
    """Powers measured on this machine by `nestling-device profile`.

    Attributes:
        idle_w: power while nothing runs, watts.
        active_w: power that running a network adds, watts.
    """

    idle_w: float
    active_w: float


@dataclass(frozen=True, kw_only=True)
class CalibratedMeter(ClockMeter):
    """Measures time on a real board, and measures or calibrates the energy.

    The energy of a step that spans several readings of the instrument is measured. For a shorter
    step, and without an instrument, the energy is the measured time at the power that was measured
    over thousands of runs; its provenance is "calibrated". The radio's energy stays modelled,
    because an instrument measures the whole board and cannot distinguish waiting from sending.

    Attributes:
        powers: powers measured on this machine.
        sampler: samples an instrument while the meter is in use; None without an instrument.
    """

    powers: Powers
    sampler: Sampler | None = None

    def compute(self, macs: int, wall_ms: float) -> StepCost:
        """Return the measured time and the energy; call this right after the step."""
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
