"""The cascade of a nest: a small capacity answers first, a larger one where it is worth its run.

A nest holds every smaller model of the one that fits, so running a small one first costs no
download, and little memory. After NestDNN's capacities (Fang et al. 2018, arXiv 1810.10090) and
cascades that stop early (BranchyNet, arXiv 1709.01686).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.learning.routing.data import Bools, Floats, RoutingData

# Gains that differ by less are one: runtimes differ in their last bits, and inputs that are all
# alike must not go over together where a threshold stands among them.
ALIKE = 1e-6
# Accuracy that the cascade may cost against running the larger capacity at once.
_TOLERANCE = 0.001
_TRIED = tuple(number / 20 for number in range(20))
# What starting a capacity takes, whatever its size, in multiply-accumulates of a Pi 4B (0.12 ms at
# 1.4 a nanosecond).
_START_MACS = 168_000


@dataclass(frozen=True, kw_only=True)
class CascadeRule:
    """How a capacity is reached.

    Attributes:
        start: capacity that runs first, 1 to K; `top` where that runs at once.
        top: capacity that runs where the first one is not enough, 1 to K.
        threshold: what the larger one must be better by, in success probability, to run.
    """

    start: int
    top: int
    threshold: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Gains:
    """What the cloud is believed to be better by, in success probability.

    Attributes:
        gate: before the larger capacity could run, (N,); None where one runs at once.
        accept: after the last one ran, (N,).
    """

    gate: Floats | None
    accept: Floats

    def sent(self, gate_threshold: float, accept_threshold: float) -> Bools:
        """Which inputs go to the cloud at such thresholds, (N,)."""
        late: Bools = self.accept > accept_threshold
        return late if self.gate is None else late | (self.gate > gate_threshold)

    def part(self, chosen: NDArray[np.intp]) -> "Gains":
        """The same for some of the inputs."""
        gate = None if self.gate is None else self.gate[chosen]
        return Gains(gate=gate, accept=self.accept[chosen])


def at_once(capacity: int) -> CascadeRule:
    """Run one capacity and no other."""
    return CascadeRule(start=capacity, top=capacity)


def runs_larger(cascade: CascadeRule, believed: Floats) -> Bools:
    """For which inputs the larger capacity runs, (N,).

    Args:
        cascade: the cascade.
        believed: of the inputs, (K, N, K + 1), as `beliefs` has it.
    """
    if cascade.start == cascade.top:
        return np.zeros(believed.shape[1], np.bool_)
    after = believed[cascade.start - 1]
    worth: Bools = after[:, cascade.top - 1] - after[:, cascade.start - 1] > cascade.threshold
    return worth


def gains(cascade: CascadeRule, believed: Floats) -> Gains:
    """What the cloud is believed to be better by, in a cascade."""
    start, top = cascade.start - 1, cascade.top - 1
    last = believed[top, :, -1] - believed[top, :, top]
    if start == top:
        return Gains(gate=None, accept=last)
    first = believed[start, :, -1] - believed[start, :, start]
    return Gains(
        gate=believed[start, :, -1] - believed[start, :, top],
        accept=np.where(runs_larger(cascade, believed), last, first),
    )


def taken(cascade: CascadeRule, believed: Floats, by_capacity: Bools) -> Bools:
    """Pick for each input the capacity that answers it.

    Args:
        cascade: the cascade.
        believed: of the inputs.
        by_capacity: something of each capacity, (N, K) or (N, K + 1).
    """
    return np.where(
        runs_larger(cascade, believed),
        by_capacity[:, cascade.top - 1],
        by_capacity[:, cascade.start - 1],
    )


def fit_cascade(believed: Floats, data: RoutingData, macs: Sequence[int], top: int) -> CascadeRule:
    """Find the cascade to a capacity that computes least, at next to no loss on these inputs.

    Args:
        believed: of the inputs.
        data: what every option makes of them.
        macs: multiply-accumulates of each capacity.
        top: the capacity, 1 to K.
    """
    right = data.right
    enough = right[:, top - 1].mean() - _TOLERANCE
    best, least = at_once(top), float(macs[top - 1] + _START_MACS)
    for start in range(1, top):
        after = believed[start - 1]
        worth = after[:, top - 1] - after[:, start - 1]
        for share in _TRIED:
            threshold = float(np.quantile(worth, 1 - share)) + ALIKE
            cascade = CascadeRule(start=start, top=top, threshold=threshold)
            larger_share = float(runs_larger(cascade, believed).mean())
            needed = macs[start - 1] + _START_MACS + larger_share * (macs[top - 1] + _START_MACS)
            if needed < least and taken(cascade, believed, right).mean() >= enough:
                best, least = cascade, needed
    return best
