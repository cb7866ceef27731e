"""Decides which capacities to load: which fit into memory and the other limits. Pure."""

from collections.abc import Sequence

from nestling.v1.budget_pb2 import Budget
from nestling_device.inference.limits import CapacityCost, capacity_excess


def resident_capacity(costs: Sequence[CapacityCost], held: int, budget: Budget) -> int:
    """Return the largest capacity on the device that the budget admits.

    Returns capacity 1 if the budget admits none, because no input is left unanswered.

    Args:
        costs: costs of capacities 1 to K.
        held: largest capacity on the device; capacities 1 to `held` are there.
        budget: limits for the next input.
    """
    fitting = [
        capacity
        for capacity, cost in enumerate(costs[:held], start=1)
        if not capacity_excess([cost], budget)
    ]
    return max(fitting, default=1)


def start_capacity(
    costs: Sequence[CapacityCost], resident: int, preferred: int, budget: Budget
) -> int:
    """Return the capacity to run first: the bundle's choice if the budget admits both capacities.

    Args:
        costs: costs of capacities 1 to K.
        resident: the largest capacity to load, 1 to K; returned where no smaller one runs first.
        preferred: the smaller capacity that the bundle's cascade runs first; 0 for none.
        budget: limits for the next input.
    """
    if not 0 < preferred < resident:
        return resident
    both = [costs[preferred - 1], costs[resident - 1]]
    return resident if capacity_excess(both, budget) else preferred
