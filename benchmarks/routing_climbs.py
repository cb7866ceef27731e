"""The way up to the largest capacity: what it saves on the device, and what it costs."""

from dataclasses import dataclass

import numpy as np

from nestling_cloud.routing import climbs, find_ascent, gains, taken
from routing_costs import saving
from routing_curves import SHARES, Doubles, Split, accuracies
from routing_worlds import World


@dataclass(frozen=True, kw_only=True)
class Climbed:
    """One router on its way up.

    Attributes:
        start: capacity that runs first, from 1; the largest where that runs at once.
        climbed: share of test inputs for which the largest runs, %.
        macs: of the device for a mean input, in parts of the largest capacity's.
        alone: accuracy without the cloud, %.
        accuracy: at `SHARES`, %.
        cloud_saving: how many times less the cloud computes than alone, at its accuracy.
    """

    start: int
    climbed: float
    macs: float
    alone: float
    accuracy: Doubles
    cloud_saving: float

    def at(self, share: float) -> float:
        """Accuracy at a share of 0 to 0.5, %."""
        return float(self.accuracy[round(100 * share)])


def climb(world: World, split: Split) -> Climbed:
    """Find the way up on the inputs that the router was fitted on, judge it on the test inputs."""
    top, test, believed = world.test.capacities, world.test, split.believed["test"]
    ascent = find_ascent(split.believed["fitted"], split.fitted, world.macs[:-1], top)
    device, cloud = taken(ascent, believed, test.right), test.right[:, -1]
    urgency = gains(ascent, believed).accept.astype(np.float64)
    higher = float(climbs(ascent, believed).mean()) if ascent.start < top else 1.0
    first = world.macs[ascent.start - 1] if ascent.start < top else 0
    return Climbed(
        start=ascent.start,
        climbed=100 * higher,
        macs=(first + higher * world.macs[top - 1]) / world.macs[top - 1],
        alone=float(100 * device.mean()),
        accuracy=accuracies(urgency, device, cloud, SHARES),
        cloud_saving=saving(urgency, device, cloud),
    )
