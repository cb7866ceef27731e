"""The way up a nest: a small capacity answers first, a larger one where it is worth its run.

A nest holds every smaller model of the one that fits, so running a small one first costs no
download, and little memory. After NestDNN's capacities (Fang et al. 2018, arXiv 1810.10090) and
cascades that stop early (BranchyNet, arXiv 1709.01686).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nestling_cloud.routing.data import Bools, Floats, RoutingData
from nestling_cloud.routing.router import Beliefs

# Accuracy that the way up may cost against running the larger capacity at once.
_TOLERANCE = 0.001
_TRIED = tuple(number / 20 for number in range(20))
# What starting a network takes, whatever its size, in multiply-accumulates of a Pi 4B (0.12 ms at
# 1.4 a nanosecond): each capacity that runs is one start, and the accept head after it is another.
_STARTS_MACS = 2 * 168_000


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
        gate: before a student ran, (N,).
        accept: after the last one ran, (N,).
    """

    gate: Floats
    accept: Floats


def at_once(capacity: int) -> Ascent:
    """Run one capacity and no other."""
    return Ascent(start=capacity, top=capacity)


def climbs(ascent: Ascent, believed: Beliefs) -> Bools:
    """For which inputs the larger capacity runs, (N,)."""
    if ascent.start == ascent.top:
        return np.zeros(len(believed.before), np.bool_)
    after = believed.after[ascent.start - 1]
    worth: Bools = after[:, ascent.top - 1] - after[:, ascent.start - 1] > ascent.price
    return worth


def gains(ascent: Ascent, believed: Beliefs) -> Gains:
    """What the cloud is believed to be better by, on a way up."""
    first, last = (_after(believed, capacity) for capacity in (ascent.start, ascent.top))
    return Gains(
        gate=believed.before[:, -1] - believed.before[:, ascent.top - 1],
        accept=np.where(climbs(ascent, believed), last, first),
    )


def taken(ascent: Ascent, believed: Beliefs, by_capacity: Bools) -> Bools:
    """Pick for each input the capacity that answers it.

    Args:
        ascent: the way up.
        believed: of the inputs.
        by_capacity: something of each capacity, (N, K) or (N, K + 1).
    """
    return np.where(
        climbs(ascent, believed), by_capacity[:, ascent.top - 1], by_capacity[:, ascent.start - 1]
    )


def find_ascent(believed: Beliefs, data: RoutingData, macs: Sequence[int], top: int) -> Ascent:
    """Find the way up to a capacity that computes least, at next to no loss on these inputs.

    Args:
        believed: of the inputs.
        data: what every option makes of them.
        macs: multiply-accumulates of each capacity.
        top: the capacity, 1 to K.
    """
    right = data.right
    enough = right[:, top - 1].mean() - _TOLERANCE
    best, least = at_once(top), float(macs[top - 1] + _STARTS_MACS)
    for start in range(1, top):
        after = believed.after[start - 1]
        worth = after[:, top - 1] - after[:, start - 1]
        for share in _TRIED:
            ascent = Ascent(start=start, top=top, price=float(np.quantile(worth, 1 - share)))
            climbed = float(climbs(ascent, believed).mean())
            needed = macs[start - 1] + _STARTS_MACS + climbed * (macs[top - 1] + _STARTS_MACS)
            if needed < least and taken(ascent, believed, right).mean() >= enough:
                best, least = ascent, needed
    return best


def _after(believed: Beliefs, capacity: int) -> Floats:
    after = believed.after[capacity - 1]
    found: Floats = after[:, -1] - after[:, capacity - 1]
    return found
