"""Measures how much compute and energy our router saves with one capacity or with a cascade.

A device runs either one capacity or a cascade. In a cascade, a small capacity runs first. A larger
one runs only if the expected improvement is worth the extra run.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks.routing.costs import radio_mj, run_mj
from benchmarks.routing.curves import Doubles, FittedRouters, accuracies
from nestling_cloud.learning.routing import (
    CascadeRule,
    fit_cascade,
    gains,
    of_answering_capacity,
    runs_larger,
)
from nestling_cloud.learning.routing.data import Bools

CONFIDENCE = ("max-softmax", "margin", "entropy", "scaled softmax", "Sedna cross entropy")
# Share that the confidence rules send when energies are compared.
_COMPARED_SHARE = np.array([0.2])
_FINE_SHARES = np.arange(0, 1.0001, 0.0025)


@dataclass(frozen=True, kw_only=True)
class CascadeResult:
    """The results of our router under one rule.

    Attributes:
        top: the largest capacity that runs, from 1.
        start: the capacity that runs first, from 1. Without a cascade, it is the same as `top`.
        larger_share: the share of test inputs for which `top` runs, %.
        macs: the device's mean multiply-accumulates per input, as a fraction of those of `top`.
        alone: the accuracy if the device answers every input, %.
        accuracy: the accuracies at `SHARES`, %.
        cloud_saving: the factor by which our router reduces the cloud's compute without being less
            accurate than the cloud. It is 1 divided by the smallest offload share that reaches the
            cloud's accuracy, chosen with hindsight. It is NaN if the device reaches this accuracy
            without offloads.
        energy_saving: the change in the energy of device and radio compared with the best
            confidence rule, %. It is negative if our router needs less energy. The confidence rule
            runs `top` on every input and sends 20 % of the inputs. Our router sends the smallest
            share that reaches the accuracy of the confidence rule.
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
        """Return the accuracy at an offload share, %.

        Args:
            share: the offload share, from 0 to 0.5, in steps of 0.01.
        """
        return float(self.accuracy[round(100 * share)])


def measure_rule(routers: FittedRouters, rule: CascadeRule) -> CascadeResult:
    """Return the results of our router on the test inputs under one rule.

    Args:
        routers: our router, and the confidence rules that it is compared with.
        rule: the rule, which runs one capacity or a cascade.
    """
    models, predictions, top = routers.models, routers.predictions["test"], rule.top
    right = models.test.right
    device, cloud = of_answering_capacity(rule, predictions, right), right[:, -1]
    urgency = gains(rule, predictions).accept.astype(np.float64)
    top_share, macs, compute_mj = 1.0, 0, 0.0
    if rule.start < top:
        top_share, macs = float(runs_larger(rule, predictions).mean()), models.macs[rule.start - 1]
        compute_mj = run_mj(models, rule.start, routers.multiplexer)
    compute_mj += top_share * run_mj(models, top, routers.multiplexer)
    best = max(
        accuracies(
            routers.urgencies[name][top - 1], right[:, top - 1], cloud, _COMPARED_SHARE
        ).item()
        for name in CONFIDENCE
    )
    theirs_mj = run_mj(models, top) + _COMPARED_SHARE[0] * radio_mj(models)
    ours_mj = compute_mj + _smallest_share(urgency, device, cloud, best) * radio_mj(models)
    cloud_share = _smallest_share(urgency, device, cloud, 100 * cloud.mean())
    return CascadeResult(
        top=top,
        start=rule.start,
        larger_share=100 * top_share,
        macs=(macs + top_share * models.macs[top - 1]) / models.macs[top - 1],
        alone=float(100 * device.mean()),
        accuracy=accuracies(urgency, device, cloud),
        cloud_saving=np.nan if device.mean() >= cloud.mean() else 1 / max(cloud_share, 0.0025),
        energy_saving=float(100 * (ours_mj / theirs_mj - 1)),
    )


def _smallest_share(urgency: Doubles, device: Bools, cloud: Bools, accuracy: float) -> float:
    """Return the smallest offload share at which a router reaches an accuracy.

    The share is 1 if no share reaches the accuracy.

    Args:
        urgency: the router's scores of the inputs, (N,).
        device: whether the device is right, (N,).
        cloud: whether the cloud is right, (N,).
        accuracy: the accuracy to reach, %.
    """
    reached = np.flatnonzero(accuracies(urgency, device, cloud, _FINE_SHARES) >= accuracy - 1e-9)
    return float(_FINE_SHARES[reached[0]]) if len(reached) else 1.0


def cascade_rule(routers: FittedRouters, top: int) -> CascadeRule:
    """Return the cascade up to a capacity, fitted in the same way as for a bundle.

    Args:
        routers: the fitted routers. Only ours is used.
        top: the capacity, from 1.
    """
    return fit_cascade(routers.predictions["fitted"], routers.fitted, routers.models.macs[:-1], top)
