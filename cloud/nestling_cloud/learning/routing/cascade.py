"""The way up a nest: a small capacity answers first, a larger one where it is worth its run.

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
# alike must not go over together where a price stands among them.
ALIKE = 1e-6
# Accuracy that the way up may cost against running the larger capacity at once.
_TOLERANCE = 0.001
_TRIED = tuple(number / 20 for number in range(20))
# What starting a capacity takes, whatever its size, in multiply-accumulates of a Pi 4B (0.12 ms at
# 1.4 a nanosecond).
_START_MACS = 168_000


@dataclass(frozen=True, kw_only=True)
class Ascent:
    """How a capacity is reached.

    Attributes:
        start: capacity that runs first, 1 to K; `top` where that runs at once.
        top: capacity that runs where the first one is not enough, 1 to K.
        price: what the larger one must be better by, in success probability, to run.
    """

    start: int
    top: int
    price: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Gains:
    """What the cloud is believed to be better by, in success probability.

    Attributes:
        gate: before the larger capacity could run, (N,); None where one runs at once.
        accept: after the last one ran, (N,).
    """

    gate: Floats | None
    accept: Floats

    def sent(self, gate_price: float, accept_price: float) -> Bools:
        """Which inputs go to the cloud at such prices, (N,)."""
        late: Bools = self.accept > accept_price
        return late if self.gate is None else late | (self.gate > gate_price)

    def part(self, chosen: NDArray[np.intp]) -> "Gains":
        """The same for some of the inputs."""
        gate = None if self.gate is None else self.gate[chosen]
        return Gains(gate=gate, accept=self.accept[chosen])


def at_once(capacity: int) -> Ascent:
    """Run one capacity and no other."""
    return Ascent(start=capacity, top=capacity)


def climbs(ascent: Ascent, believed: Floats) -> Bools:
    """For which inputs the larger capacity runs, (N,).

    Args:
        ascent: the way up.
        believed: of the inputs, (K, N, K + 1), as `beliefs` has it.
    """
    if ascent.start == ascent.top:
        return np.zeros(believed.shape[1], np.bool_)
    after = believed[ascent.start - 1]
    worth: Bools = after[:, ascent.top - 1] - after[:, ascent.start - 1] > ascent.price
    return worth


def gains(ascent: Ascent, believed: Floats) -> Gains:
    """What the cloud is believed to be better by, on a way up."""
    start, top = ascent.start - 1, ascent.top - 1
    last = believed[top, :, -1] - believed[top, :, top]
    if start == top:
        return Gains(gate=None, accept=last)
    first = believed[start, :, -1] - believed[start, :, start]
    return Gains(
        gate=believed[start, :, -1] - believed[start, :, top],
        accept=np.where(climbs(ascent, believed), last, first),
    )


def taken(ascent: Ascent, believed: Floats, by_capacity: Bools) -> Bools:
    """Pick for each input the capacity that answers it.

    Args:
        ascent: the way up.
        believed: of the inputs.
        by_capacity: something of each capacity, (N, K) or (N, K + 1).
    """
    return np.where(
        climbs(ascent, believed), by_capacity[:, ascent.top - 1], by_capacity[:, ascent.start - 1]
    )


def find_ascent(believed: Floats, data: RoutingData, macs: Sequence[int], top: int) -> Ascent:
    """Find the way up to a capacity that computes least, at next to no loss on these inputs.

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
            price = float(np.quantile(worth, 1 - share)) + ALIKE
            ascent = Ascent(start=start, top=top, price=price)
            climbed = float(climbs(ascent, believed).mean())
            needed = macs[start - 1] + _START_MACS + climbed * (macs[top - 1] + _START_MACS)
            if needed < least and taken(ascent, believed, right).mean() >= enough:
                best, least = ascent, needed
    return best
