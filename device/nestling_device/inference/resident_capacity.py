"""Decides which capacities fit into the memory and the other limits of the budget.

`capacity_loader` loads them. Nothing here does I/O.
"""

from collections.abc import Sequence

from nestling.v1.budget_pb2 import Budget
from nestling_device.inference.limits import CapacityCost, capacity_excess


def resident_capacity(costs: Sequence[CapacityCost], held: int, budget: Budget) -> int:
    """Return the largest capacity on the device that the budget admits.

    It is capacity 1 if the budget admits none, because every input must be answered.

    Args:
        costs: the costs of capacities 1 to K.
        held: the largest capacity on the device. The smaller ones are there too.
        budget: the limits for the next input.
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
    """Return the capacity to run first.

    This is the capacity that the bundle prefers, if the budget admits it together with the largest
    capacity to load. Otherwise it is the largest capacity.

    Args:
        costs: the costs of capacities 1 to K.
        resident: the largest capacity to load, 1 to K.
        preferred: the smaller capacity that the bundle's cascade runs first, or 0 if there is none.
        budget: the limits for the next input.
    """
    if not 0 < preferred < resident:
        return resident
    both = [costs[preferred - 1], costs[resident - 1]]
    return resident if capacity_excess(both, budget) else preferred
