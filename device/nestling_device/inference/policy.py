"""Who decides where an input runs: pure rules over probabilities, costs, budget and link.

One rule decides twice. When the first capacity has run (gate) and when the last one has (accept or
escalate) an input goes to the cloud if the cloud is believed to succeed more often than the device
by more than a threshold. Thresholds come with the bundle, for the offload share that the budget
targets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nestling.v1.budget_pb2 import Budget
from nestling.v1.bundle_pb2 import RoutingCurve
from nestling_core.routing.curve import point_at
from nestling_device.inference.limits import CapacityCost, capacity_excess

# Most inputs that something which failed is left alone for.
_LONGEST_PAUSE = 16


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """What the cloud must be better by, in success probability, to be asked."""

    gate: float
    accept: float


# Success probabilities lie in [0, 1]: their differences always exceed this.
KEEP_NOTHING = Thresholds(gate=-1 - 1e-6, accept=-1 - 1e-6)
# Nothing is kept either, but a student runs, so that it is known what inputs are like.
LOOK_AND_SEND = Thresholds(gate=-1.0, accept=-1 - 1e-6)


def resident_capacity(costs: Sequence[CapacityCost], held: int, budget: Budget) -> int:
    """Largest capacity that the budget admits of those that the device holds.

    The smallest one stays even when the budget admits none: an input is never left unanswered.

    Args:
        costs: of capacities 1 to K.
        held: capacities 1 to `held` are on the device.
        budget: limits of now.
    """
    fitting = [
        capacity
        for capacity, cost in enumerate(costs[:held], start=1)
        if not capacity_excess([cost], budget)
    ]
    return max(fitting, default=1)


def start_capacity(
    costs: Sequence[CapacityCost], resident: int, target: int, budget: Budget
) -> int:
    """Capacity to begin with: the one that the bundle wishes if the budget admits both.

    Args:
        costs: of capacities 1 to K.
        resident: the larger one, 1 to K.
        target: to run before it; 0 for none.
        budget: limits of now.
    """
    if not 0 < target < resident:
        return resident
    both = [costs[target - 1], costs[resident - 1]]
    return resident if capacity_excess(both, budget) else target


def runs_larger(gained: float, threshold: float) -> bool:
    """Is the larger capacity's success worth more than the smaller one's by over the threshold?"""
    return gained > threshold


def thresholds_for(curve: RoutingCurve, offload_share: float) -> Thresholds:
    """Thresholds for a target share, between the bundle's operating points where it lies between.

    Args:
        curve: points by rising share, from 0 to 1.
        offload_share: wished; below 0 it is 0, above 1 it is 1.
    """
    point = point_at(curve, offload_share)
    return Thresholds(gate=point.gate_threshold, accept=point.accept_threshold)


def certified_thresholds(curve: RoutingCurve, tolerated_risk: float) -> Thresholds | None:
    """Thresholds that the bundle has certified for a risk: of those within it, the most daring.

    Args:
        curve: of the capacity that is resident.
        tolerated_risk: share of the device's own answers that may differ from the cloud's.

    Returns:
        None where the bundle promises nothing within that risk.
    """
    within = [point for point in curve.certified if point.risk <= tolerated_risk]
    if not within:
        return None
    point = max(within, key=lambda point: point.risk)
    return Thresholds(gate=point.gate_threshold, accept=point.accept_threshold)


def thresholds_for_budget(
    curve: RoutingCurve, budget: Budget, share: float, *, drifting: bool = False
) -> Thresholds:
    """Thresholds for what the budget asks for: a tolerated risk, otherwise a share.

    A risk that the bundle does not support keeps nothing on the device, and while inputs drift it
    supports none.

    Args:
        curve: of the capacity that is resident.
        budget: limits and targets of now.
        share: to go for, as `TargetController` has it.
        drifting: whether inputs are harder than those that promises are for.
    """
    if not budget.tolerated_risk > 0:
        return thresholds_for(curve, share)
    certified = certified_thresholds(curve, budget.tolerated_risk)
    if certified is None:
        return KEEP_NOTHING
    return LOOK_AND_SEND if drifting else certified


def keeps_nothing(thresholds: Thresholds) -> bool:
    """Whether every input goes to the cloud, so that no student has to run first."""
    return thresholds.gate < -1


def prefers_cloud(gained: float, threshold: float) -> bool:
    """The one rule: is the cloud's success worth more than the device's by over the threshold?

    What is believed may be no number, of a broken model: such an input is not kept.
    """
    return not gained <= threshold


@dataclass(frozen=True)
class Backoff:
    """How long what failed is left alone, in inputs: 1, 2, 4, up to 16.

    Counted in inputs and not in seconds, so that a recorded trace replays to the same routes.
    """

    failures: int = 0
    left: int = 0

    @property
    def over(self) -> bool:
        """Whether to try again."""
        return self.left == 0

    def after_input(self) -> "Backoff":
        """One more input was answered without trying."""
        return Backoff(self.failures, max(0, self.left - 1))

    def after_failure(self) -> "Backoff":
        """It failed again."""
        failures = self.failures + 1
        return Backoff(failures, min(2 ** (failures - 1), _LONGEST_PAUSE))
