"""How the device's own rules keep a share while the inputs change, by a script."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestling.v1.budget_pb2 import Budget
from nestling.v1.bundle_pb2 import RoutingCurve
from nestling_cloud.learning.routing import Ascent, Gains, gains, taken
from nestling_device.inference import policy
from nestling_device.inference.target_controller import Keeper, Taken, wish_of
from routing_curves import Split
from routing_worlds import World

WISH = 0.2
WINDOW = 500
_STRETCH = 1500


@dataclass(frozen=True, kw_only=True)
class Drifted:
    """A stream of inputs that changes, routed one after the other.

    Attributes:
        worst: largest distance of any window's share from the wish, points.
        share: of the whole stream, %.
        accuracy: of the answers, %.
    """

    worst: float
    share: float
    accuracy: float


def drift(
    world: World, split: Split, ascent: Ascent, curve: RoutingCurve, *, window: int
) -> Drifted:
    """Route the scripted stream with a wish.

    Args:
        world: models and inputs.
        split: whose router it is.
        ascent: how a capacity is reached.
        curve: its prices.
        window: over which the share is kept; 0 where prices stay as they are.
    """
    chosen = script(world, ascent.top - 1)
    believed, right = split.believed["test"], world.test.right
    budget = Budget(offload_share=WISH, wish_window=window)
    sent = _route(curve, budget, gains(ascent, believed).part(chosen))
    own = taken(ascent, believed, right)
    answers = np.where(sent, right[chosen, -1], own[chosen])
    sums = np.concatenate([[0], np.cumsum(sent)])
    shares = 100 * (sums[WINDOW:] - sums[:-WINDOW]) / WINDOW
    return Drifted(
        worst=float(np.abs(shares - 100 * WISH).max()),
        share=float(100 * sent.mean()),
        accuracy=float(100 * answers.mean()),
    )


def script(world: World, index: int) -> NDArray[np.intp]:
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


def hard_inputs(world: World, index: int) -> NDArray[np.bool_]:
    """Test inputs of the half of the classes that the device knows worst, (N,)."""
    labels, device = world.test.labels, world.test.right[:, index]
    classes = np.unique(labels)
    hardest = classes[np.argsort([device[labels == one].mean() for one in classes])]
    return np.isin(labels, hardest[: len(classes) // 2])


def _route(curve: RoutingCurve, budget: Budget, gained: Gains) -> NDArray[np.bool_]:
    """As the agent does, by its own rules."""
    nothing, offload = (Taken(share=n, energy=0, latency=0) for n in (0, 1))
    wish = wish_of(budget, kept=nothing, sent=offload)
    keeper, sent = Keeper(), []
    for index in range(len(gained.accept)):
        prices = policy.asked_prices(curve, budget, keeper.to_go_for(wish))
        one = gained.part(np.array([index]))
        asks = policy.keeps_nothing(prices) or bool(one.sent(prices.gate, prices.accept)[0])
        keeper = keeper.after_input(wish, offload if asks else nothing)
        sent.append(asks)
    return np.array(sent)
