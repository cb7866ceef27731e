"""Adds up what one answer took, by source."""

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
    """Time, energy and bytes of one answer in the making."""

    def __init__(self, meter: Meter, budget: Budget) -> None:
        """Start at nothing."""
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
        """Run a model and enter what it took."""
        started = time.perf_counter()
        result = step()
        spent = self._meter.compute(macs, (time.perf_counter() - started) * 1e3)
        self._latency_ms += spent.latency_ms
        self._compute_mj += spent.energy_mj
        # The enum rises from measured to modelled: a sum is as certain as its least certain part.
        self._compute_provenance = max(self._compute_provenance, spent.energy_provenance)
        return result

    @property
    def latency_ms(self) -> float:
        """Time so far."""
        return self._latency_ms

    @property
    def energy_mj(self) -> float:
        """Energy so far, of all sources."""
        return self._compute_mj + self._radio_mj

    def exchange(self, bytes_up: int, bytes_down: int, wall_ms: float) -> None:
        """Enter an exchange with the cloud, answered or not."""
        spent = self._meter.radio(bytes_up + bytes_down, self.budget, wall_ms)
        self._latency_ms += spent.latency_ms
        self._radio_mj += spent.energy_mj
        self._radio_provenance = max(self._radio_provenance, spent.energy_provenance)
        self._bytes_up += bytes_up
        self._bytes_down += bytes_down

    def enter(self, receipt: Receipt, offload_size_bytes: int) -> None:
        """Write the sums into a receipt, and what an offload would have taken over the link.

        Args:
            receipt: of the answer.
            offload_size_bytes: bytes on the link for one offloaded input.
        """
        receipt.latency_ms = self._latency_ms
        receipt.latency_provenance = self._meter.latency_provenance
        receipt.bytes_up, receipt.bytes_down = self._bytes_up, self._bytes_down
        for source, energy_mj, provenance in (
            ("compute", self._compute_mj, self._compute_provenance),
            ("radio", self._radio_mj, self._radio_provenance),
        ):
            # What did not happen cost nothing, as the meter would have told.
            known = provenance or self._meter.energy_provenance
            receipt.energy.add(source=source, energy_mj=energy_mj, provenance=known)
        if self.budget.link_mbit_s > 0:
            receipt.offload_energy_mj = self._meter.radio_mj(offload_size_bytes, self.budget)
            receipt.offload_energy_provenance = PROVENANCE_MODELLED
            receipt.offload_bytes = offload_size_bytes
