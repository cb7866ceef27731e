"""Loads the capacities that the budget admits, as `resident_capacity` decides.

These are the largest capacity that the budget admits and, if the budget admits the two together,
the smaller capacity that the cascade runs first. If the device lacks some of the capacities that
the budget admits, it fetches them first.
"""

import dataclasses
import logging
from collections.abc import Callable

from nestling.v1.budget_pb2 import Budget
from nestling.v1.bundle_pb2 import RoutingCurve
from nestling_device.bundle.calibration import cascade_to, curve_of
from nestling_device.bundle.loaded_bundle import LoadedBundle
from nestling_device.delivery.bundle_source import DeliveryError
from nestling_device.energy.measured_costs import MeasuredCosts
from nestling_device.energy.meter import Meter
from nestling_device.inference.backoff import Backoff
from nestling_device.inference.expected_costs import capacity_costs
from nestling_device.inference.limit_notices import LimitNotices
from nestling_device.inference.limits import CapacityCost, capacity_excess
from nestling_device.inference.resident_capacity import resident_capacity, start_capacity

_log = logging.getLogger(__name__)


class CapacityLoader:
    """Loads the capacities that answer the next input.

    Attributes:
        bundle: the bundle in use. Its `held` is lowered when a capacity cannot be read from the
            disk.
        costs: the expected costs of capacities 1 to K of the bundle.

    Args:
        bundle: the active bundle.
        meter: the meter that estimates the costs that were not measured.
        notices: the log for limits that even the smallest capacity exceeds.
        grow: a function that fetches missing files of the bundle. Its argument is the memory budget
            in bytes. It is called when the budget admits more capacities than the device has, or
            when a file of the bundle is damaged. It returns the same bundle with the missing files,
            or raises DeliveryError.
        measured: the costs measured on this machine, or None if there are none.
    """

    bundle: LoadedBundle
    costs: list[CapacityCost]

    def __init__(
        self,
        bundle: LoadedBundle,
        meter: Meter,
        notices: LimitNotices,
        *,
        grow: Callable[[int], LoadedBundle],
        measured: MeasuredCosts | None,
    ) -> None:
        self._meter = meter
        self._notices = notices
        self._grow = grow
        self._measured = measured
        self._growth_pause = Backoff()
        self._use(bundle)

    def fit(self, budget: Budget) -> None:
        """Load the largest capacity that the budget admits, or capacity 1 if it admits none.

        The smaller capacity that the cascade runs first is loaded too if the budget admits the two
        together.

        If the budget admits more capacities than the device has, or if a file is damaged, the
        missing files are fetched first. After a failed attempt, the device uses the capacities that
        it has, and the next attempt is made after a pause (`Backoff`).

        Args:
            budget: the limits and targets for the next input.

        Raises:
            DeliveryError: not even the smallest capacity can be read from the disk.
        """
        admitted = resident_capacity(self.costs, len(self.costs), budget)
        if admitted > self.bundle.held or self._start_damaged:
            self._try_to_grow(budget.memory_bytes)
        held = self.bundle.held
        capacity = resident_capacity(self.costs, held, budget)
        if capacity == 1:
            for excess in capacity_excess(self.costs[:1], budget):
                self._notices.smallest_capacity(excess)
        self._load(capacity, budget)

    def _try_to_grow(self, memory_bytes: int) -> None:
        if not self._growth_pause.over:
            self._growth_pause = self._growth_pause.after_input()
            return
        try:
            grown = self._grow(memory_bytes)
        except DeliveryError as err:
            _log.info("cannot fetch more of the bundle yet: %s", err)
            self._growth_pause = self._growth_pause.after_failure()
            return
        self._use(grown)
        self._growth_pause = Backoff()

    def _load(self, capacity: int, budget: Budget) -> None:
        """Load a capacity and, if the budget allows, the one that its cascade runs first.

        If the capacity cannot be read from the disk, the largest smaller capacity that can be read
        is loaded instead. If only the capacity that runs first cannot be read, the larger one is
        loaded without it. A later call of `fit` fetches the damaged file again.
        """
        for smaller in range(capacity, 0, -1):
            cascade = cascade_to(self.bundle.calibration, smaller)
            preferred = 0 if self._start_damaged else cascade.start
            start = start_capacity(self.costs, smaller, preferred, budget)
            # If the first capacity is damaged, the larger one may still load.
            for first in sorted({start, smaller}):
                try:
                    self.bundle.nest.load(smaller, first)
                except DeliveryError as err:
                    if smaller == 1:
                        raise
                    _log.warning("cannot load capacity %d: %s", smaller, err)
                else:
                    self._start_damaged |= first != start
                    return
            self.bundle = dataclasses.replace(self.bundle, held=smaller - 1)

    def _use(self, bundle: LoadedBundle) -> None:
        self.bundle = bundle
        self._start_damaged = False
        self.costs = capacity_costs(bundle.manifest, bundle.version, self._meter, self._measured)

    def curve(self) -> RoutingCurve:
        """Return the routing curve, which contains the thresholds for the loaded capacities."""
        nest = self.bundle.nest
        return curve_of(self.bundle.calibration, nest.start, nest.resident)
