"""Adds up the time, energy and bytes that one answer takes.

Energy is added up separately for each of its sources: computing and the radio.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from nestling.v1.budget_pb2 import Budget
from nestling.v1.receipt_pb2 import (
    PROVENANCE_MODELLED,
    PROVENANCE_UNSPECIFIED,
    Receipt,
)
from nestling_device.energy.meter import Meter

T = TypeVar("T")


class CostAccount:
    """The running totals of the time, energy and bytes spent on one answer.

    Attributes:
        budget: the budget of the input.
    """

    def __init__(self, meter: Meter, budget: Budget) -> None:
        """Start with all totals at zero.

        Args:
            meter: the meter that estimates or measures the time and energy of each step.
            budget: the budget of this input. Its link determines the cost of exchanges.
        """
        self.budget = budget
        self._meter = meter
        self._latency_ms = 0.0
        self._compute_mj = 0.0
        self._radio_mj = 0.0
        self._compute_provenance = PROVENANCE_UNSPECIFIED
        self._radio_provenance = PROVENANCE_UNSPECIFIED
        self._bytes_up = 0
        self._bytes_down = 0

    def run(self, macs: int, step: Callable[[], T]) -> T:
        """Run a model and add its time and energy to the totals.

        Args:
            macs: the number of multiply-accumulate operations of the run.
            step: the function that runs the model. If it raises, nothing is added.

        Returns:
            The result of `step`.
        """
        started = time.perf_counter()
        result = step()
        spent = self._meter.compute(macs, (time.perf_counter() - started) * 1e3)
        self._latency_ms += spent.latency_ms
        self._compute_mj += spent.energy_mj
        # The enum rises from measured to modelled; a sum is only as certain as its least certain
        # part.
        self._compute_provenance = max(self._compute_provenance, spent.energy_provenance)
        return result

    @property
    def latency_ms(self) -> float:
        """The time so far, in ms."""
        return self._latency_ms

    @property
    def energy_mj(self) -> float:
        """The energy so far from all sources, in mJ."""
        return self._compute_mj + self._radio_mj

    def exchange(self, bytes_up: int, bytes_down: int, wall_ms: float) -> None:
        """Add an exchange with the cloud to the totals, whether the cloud answered or not.

        Args:
            bytes_up: the number of bytes sent.
            bytes_down: the number of bytes received.
            wall_ms: the time that the exchange took, in wall-clock milliseconds.
        """
        spent = self._meter.radio(bytes_up + bytes_down, self.budget, wall_ms)
        self._latency_ms += spent.latency_ms
        self._radio_mj += spent.energy_mj
        self._radio_provenance = max(self._radio_provenance, spent.energy_provenance)
        self._bytes_up += bytes_up
        self._bytes_down += bytes_down

    def enter(self, receipt: Receipt, offload_size_bytes: int) -> None:
        """Write the totals into a receipt.

        If the budget has a link, the receipt also gets the energy and the number of bytes that an
        offload of this input is expected to take.

        Args:
            receipt: the receipt of this answer, which is changed in place.
            offload_size_bytes: the number of bytes sent and received for one offloaded input.
        """
        receipt.latency_ms = self._latency_ms
        receipt.latency_provenance = self._meter.latency_provenance
        receipt.bytes_up, receipt.bytes_down = self._bytes_up, self._bytes_down
        for source, energy_mj, provenance in (
            ("compute", self._compute_mj, self._compute_provenance),
            ("radio", self._radio_mj, self._radio_provenance),
        ):
            # A source that was not used cost nothing; the meter's own provenance applies.
            known = provenance or self._meter.energy_provenance
            receipt.energy.add(source=source, energy_mj=energy_mj, provenance=known)
        if self.budget.link_mbit_s > 0:
            receipt.offload_energy_mj = self._meter.radio_mj(offload_size_bytes, self.budget)
            receipt.offload_energy_provenance = PROVENANCE_MODELLED
            receipt.offload_bytes = offload_size_bytes
