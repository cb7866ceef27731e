"""How the device's own rules keep a share while the inputs change, by a script."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.routing.curves import Split
from benchmarks.routing.seed_models import SeedModels
from nestling.v1.budget_pb2 import Budget
from nestling.v1.bundle_pb2 import RoutingCurve
from nestling_cloud.learning.routing import CascadeRule, Gains, gains, of_answering_capacity
from nestling_device.inference import policy
from nestling_device.inference.target_controller import InputCost, TargetController, target_of

TARGET = 0.2
WINDOW = 500
_STRETCH = 1500


@dataclass(frozen=True, kw_only=True)
class DriftRun:
    """A stream of inputs that changes, routed one after the other.

    Attributes:
        worst: largest distance of any window's share from the target, points.
        share: of the whole stream, %.
        accuracy: of the answers, %.
    """

    worst: float
    share: float
    accuracy: float


def drift(
    world: SeedModels, split: Split, cascade: CascadeRule, curve: RoutingCurve, *, window: int
) -> DriftRun:
    """Route the scripted stream with a target.

    Args:
        world: models and inputs.
        split: whose router it is.
        cascade: how a capacity is reached.
        curve: its thresholds.
        window: over which the share is kept; 0 where thresholds stay as they are.
    """
    chosen = script(world, cascade.top - 1)
    believed, right = split.believed["test"], world.test.right
    budget = Budget(offload_share=TARGET, target_window=window)
    sent = _route(curve, budget, gains(cascade, believed).part(chosen))
    own = of_answering_capacity(cascade, believed, right)
    answers = np.where(sent, right[chosen, -1], own[chosen])
    sums = np.concatenate([[0], np.cumsum(sent)])
    shares = 100 * (sums[WINDOW:] - sums[:-WINDOW]) / WINDOW
    return DriftRun(
        worst=float(np.abs(shares - 100 * TARGET).max()),
        share=float(100 * sent.mean()),
        accuracy=float(100 * answers.mean()),
    )


def script(world: SeedModels, index: int) -> NDArray[np.intp]:
    """Test inputs in an order that drifts: everything, hard classes, easy classes, everything.

    Where inputs come person after person they simply do so: a recording is one exercise.
    """
    if world.has_people:
        return np.arange(len(world.test))
    rng = np.random.default_rng(world.seed)
    hard = hard_inputs(world, index)
    everything = np.ones(len(hard), np.bool_)
    return np.concatenate(
        [
            rng.choice(np.flatnonzero(those), _STRETCH)
            for those in (everything, hard, ~hard, everything)
        ]
    )


def hard_inputs(world: SeedModels, index: int) -> NDArray[np.bool_]:
    """Test inputs of the half of the classes that the device knows worst, (N,)."""
    labels, device = world.test.labels, world.test.right[:, index]
    classes = np.unique(labels)
    hardest = classes[np.argsort([device[labels == one].mean() for one in classes])]
    return np.isin(labels, hardest[: len(classes) // 2])


def _route(curve: RoutingCurve, budget: Budget, gained: Gains) -> NDArray[np.bool_]:
    """As the agent does, by its own rules."""
    nothing, offload = (InputCost(share=n, energy=0, latency=0) for n in (0, 1))
    target = target_of(budget, kept=nothing, sent=offload)
    controller, sent = TargetController(), []
    for index in range(len(gained.accept)):
        thresholds = policy.thresholds_for_budget(curve, budget, controller.share_to_aim_at(target))
        one = gained.part(np.array([index]))
        asks = policy.keeps_nothing(thresholds) or bool(
            one.sent(thresholds.gate, thresholds.accept)[0]
        )
        controller = controller.after_input(target, offload if asks else nothing)
        sent.append(asks)
    return np.array(sent)
