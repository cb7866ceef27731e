"""Reports the time and energy of model runs and of exchanges with the cloud.

Every energy figure has a provenance (how it is known): measured by an instrument, calibrated from
powers measured on this machine, or modelled from published figures. `Meter` is the interface. These
are its implementations:

- `ProfileMeter`: time and energy are modelled, for simulated boards;
- `ClockMeter`: time is measured and energy is modelled;
- `CalibratedMeter`: time is measured, and energy is measured or calibrated.
"""

import time
from collections.abc import Callable
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
    """The time and energy of one step: a run of a model, or an exchange with the cloud.

    Attributes:
        latency_ms: the time of the step, in ms.
        energy_mj: the energy of the step above the idle energy, in mJ.
        energy_provenance: how the energy is known.
    """

    latency_ms: float
    energy_mj: float
    energy_provenance: Provenance.ValueType = PROVENANCE_MODELLED


class Meter(Protocol):
    """Reports the time and energy that a step is expected to take or has taken.

    A step is a run of a model or an exchange with the cloud.
    """

    @property
    def latency_provenance(self) -> Provenance.ValueType:
        """How the times that this meter reports are known."""
        ...

    @property
    def energy_provenance(self) -> Provenance.ValueType:
        """How the energy figures that this meter predicts are known."""
        ...

    def estimate(self, macs: int) -> StepCost:
        """Return the predicted cost of a model run with `macs` multiply-accumulates."""
        ...

    def radio_mj(self, size_bytes: int, budget: Budget) -> float:
        """Return the predicted energy of a transfer over the budget's link, in mJ.

        Args:
            size_bytes: the number of bytes sent and received.
            budget: the budget, which states the throughput of the link.
        """
        ...

    def compute(self, macs: int, wall_ms: float) -> StepCost:
        """Return the cost of a model run that has just ended.

        Args:
            macs: the number of multiply-accumulates of the run.
            wall_ms: the measured time of the run on this machine.
        """
        ...

    def radio(self, size_bytes: int, budget: Budget, wall_ms: float) -> StepCost:
        """Return the cost of an exchange with the cloud.

        Args:
            size_bytes: the number of bytes sent and received.
            budget: the budget, which states the throughput and round-trip time of the link.
            wall_ms: the measured time of the exchange on this machine.
        """
        ...


@dataclass(frozen=True)
class ProfileMeter:
    """Models the time and energy of a simulated board.

    Both are computed from the published figures and the budget. They do not depend on the machine
    that runs the simulation, so a simulated run is reproducible.

    Attributes:
        board: the power and speed of the board.
        link: the power of the radio link.
        latency_provenance: how the times are known.
        energy_provenance: how the predicted energy figures are known.
    """

    board: Board
    link: Link
    latency_provenance: Provenance.ValueType = PROVENANCE_MODELLED
    energy_provenance: Provenance.ValueType = PROVENANCE_MODELLED

    def estimate(self, macs: int) -> StepCost:
        """Return the modelled cost of a model run with `macs` multiply-accumulates."""
        busy_ms = self.board.compute_ms(macs)
        return StepCost(latency_ms=busy_ms, energy_mj=self.board.compute_mj(busy_ms))

    def radio_mj(self, size_bytes: int, budget: Budget) -> float:
        """Return the energy modelled from the bytes and the budget's throughput."""
        return offload_mj(self.link, size_bytes, budget.link_mbit_s)

    def compute(self, macs: int, wall_ms: float) -> StepCost:
        """Return the modelled cost of the run, regardless of the measured time."""
        del wall_ms
        return self.estimate(macs)

    def radio(self, size_bytes: int, budget: Budget, wall_ms: float) -> StepCost:
        """Return the cost modelled from the bytes, the throughput and the round-trip time."""
        del wall_ms
        return StepCost(
            latency_ms=transfer_ms(size_bytes, budget),
            energy_mj=self.radio_mj(size_bytes, budget),
        )


@dataclass(frozen=True)
class ClockMeter(ProfileMeter):
    """Reports the measured time of a step on a real board, and models the energy."""

    latency_provenance: Provenance.ValueType = PROVENANCE_MEASURED

    def compute(self, macs: int, wall_ms: float) -> StepCost:
        """Return the measured time, and the energy modelled from it."""
        del macs
        return StepCost(latency_ms=wall_ms, energy_mj=self.board.compute_mj(wall_ms))

    def radio(self, size_bytes: int, budget: Budget, wall_ms: float) -> StepCost:
        """Return the measured time, and the energy modelled from the bytes and the throughput."""
        return StepCost(latency_ms=wall_ms, energy_mj=self.radio_mj(size_bytes, budget))


@dataclass(frozen=True, kw_only=True)
class Powers:
    """The powers that `nestling-device profile` measured on this machine.

    Attributes:
        idle_w: the power while nothing runs, in watts.
        active_w: the power that running a network adds, in watts.
    """

    idle_w: float
    active_w: float


@dataclass(frozen=True, kw_only=True)
class CalibratedMeter(ClockMeter):
    """Measures the time of steps on a real board, and measures or calibrates the energy of runs.

    If a run spans enough readings of the instrument, its energy is computed from them, minus the
    idle energy. The provenance of this energy is that of the instrument. For a shorter run, or
    without an instrument, the energy is the measured time multiplied by `powers.active_w`, and its
    provenance is "calibrated". The energy of the radio is modelled, because an instrument measures
    the whole board and cannot distinguish waiting from sending. Predictions of energy are modelled
    too.

    Attributes:
        powers: the powers measured on this machine.
        sampler: the sampler that reads an instrument while the meter is in use, or None without an
            instrument.
        clock: the function that returns the time in seconds. It reads the same clock as the
            sampler.
    """

    powers: Powers
    sampler: Sampler | None = None
    clock: Callable[[], float] = time.monotonic

    def compute(self, macs: int, wall_ms: float) -> StepCost:
        """Return the measured time and the measured or calibrated energy.

        Call this right after the run, because the run is assumed to have just ended.
        """
        del macs
        spent = self._measured(self.clock(), wall_ms / 1e3)
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
