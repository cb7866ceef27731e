"""The cascade to a capacity: what it saves on the device, and what it costs."""

from dataclasses import dataclass

import numpy as np

from benchmarks.routing.costs import energy_saving, run_mj, saving
from benchmarks.routing.curves import SHARES, Doubles, Split, accuracies
from benchmarks.routing.seed_models import SeedModels
from nestling_cloud.learning.routing import (
    CascadeRule,
    fit_cascade,
    gains,
    of_answering_capacity,
    runs_larger,
)


@dataclass(frozen=True, kw_only=True)
class CascadeResult:
    """One router on its cascade.

    Attributes:
        top: capacity that it leads to, from 1.
        start: capacity that runs first, from 1; `top` where that runs at once.
        larger_share: share of test inputs for which `top` runs, %.
        macs: of the device for a mean input, in parts of `top`'s.
        alone: accuracy without the cloud, %.
        accuracy: at `SHARES`, %.
        cloud_saving: how many times less the cloud computes than alone, at its accuracy.
        energy_saving: against the best confidence rule from `top`, which runs at once, %.
    """

    top: int
    start: int
    larger_share: float
    macs: float
    alone: float
    accuracy: Doubles
    cloud_saving: float
    energy_saving: float

    def at(self, share: float) -> float:
        """Accuracy at a share of 0 to 0.5, %."""
        return float(self.accuracy[round(100 * share)])


def cascade(world: SeedModels, split: Split, top: int) -> CascadeResult:
    """Find the cascade on the inputs that the router was fitted on, judge it on the test inputs.

    Args:
        world: models and inputs.
        split: whose router it is.
        top: capacity that it leads to, from 1.
    """
    test, believed, cascade = world.test, split.believed["test"], cascade_of(world, split, top)
    device, cloud = of_answering_capacity(cascade, believed, test.right), test.right[:, -1]
    urgency = gains(cascade, believed).accept.astype(np.float64)
    higher = float(runs_larger(cascade, believed).mean()) if cascade.start < top else 1.0
    first = world.macs[cascade.start - 1] if cascade.start < top else 0
    compute_mj = higher * run_mj(world, top, split.multiplexer)
    if cascade.start < top:
        compute_mj += run_mj(world, cascade.start, split.multiplexer)
    return CascadeResult(
        top=top,
        start=cascade.start,
        larger_share=100 * higher,
        macs=(first + higher * world.macs[top - 1]) / world.macs[top - 1],
        alone=float(100 * device.mean()),
        accuracy=accuracies(urgency, device, cloud, SHARES),
        cloud_saving=saving(urgency, device, cloud),
        energy_saving=energy_saving(
            world, split, top - 1, urgency=urgency, device=device, compute_mj=compute_mj
        ),
    )


def cascade_of(world: SeedModels, split: Split, top: int) -> CascadeRule:
    """The cascade to a capacity (from 1), as a bundle would have it."""
    return fit_cascade(split.believed["fitted"], split.fitted, world.macs[:-1], top)
