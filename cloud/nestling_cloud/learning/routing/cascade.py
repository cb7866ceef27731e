"""Fits and applies cascades, which run a small capacity first and a larger one only if needed.

Capacities are the sizes of the student. The multiplexer estimates, from the output of the small
capacity, whether the larger capacity is worth the extra run.

A device that holds a capacity also holds all smaller ones, so running a small capacity first needs
no further download and only a little memory. The idea combines NestDNN's capacities (Fang et al.
2018, arXiv 1810.10090) with early-exit networks (BranchyNet, arXiv 1709.01686).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.learning.routing.data import (
    Bools,
    Floats,
    RoutingData,
    standard_error,
    stretch_means,
)

# Added to a threshold at a quantile: runtimes differ in their last bits, and many inputs with equal
# gains must not all cross the threshold because of that.
MARGIN = 1e-6
# Accuracy that a cascade may lose against running the larger capacity directly, and the loss that
# has to be at least one standard error away.
_TOLERANCE = 0.001
_CERTAIN_TOLERANCE = 0.005
# Shares of inputs on which the larger capacity runs that `fit_cascade` tries.
_LARGER_SHARES = tuple(number / 20 for number in range(20))
# Fixed cost of running any capacity, in multiply-accumulates of a Pi 4B (0.12 ms at 1.4 per
# nanosecond).
_START_MACS = 168_000


@dataclass(frozen=True, kw_only=True)
class CascadeRule:
    """The capacities of a cascade and the threshold between them.

    Attributes:
        start: the capacity that runs first, 1 to K. It equals `top` if `top` runs directly.
        top: the capacity that runs if the first one is not good enough, 1 to K.
        threshold: the gain in predicted success probability, from `start` to `top`, above which
            `top` runs. It is not used if `top` runs directly.
    """

    start: int
    top: int
    threshold: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Gains:
    """The predicted gains in success probability of the cloud over the device.

    Attributes:
        gate: for each input, the gain over the better of the two capacities, predicted before the
            larger one runs, (N,); None if one capacity runs directly.
        accept: for each input, the gain over the capacity that runs last, predicted after its run,
            (N,).
    """

    gate: Floats | None
    accept: Floats

    def sent(self, gate_threshold: float, accept_threshold: float) -> Bools:
        """Return for each input whether it goes to the cloud at the given thresholds, (N,).

        An input goes to the cloud if at least one of its gains exceeds the threshold for that gain.

        Args:
            gate_threshold: the threshold for the gains in `gate`; not used if `gate` is None.
            accept_threshold: the threshold for the gains in `accept`.
        """
        late: Bools = self.accept > accept_threshold
        return late if self.gate is None else late | (self.gate > gate_threshold)

    def part(self, chosen: NDArray[np.intp]) -> "Gains":
        """Return the gains of the inputs with the chosen indices."""
        gate = None if self.gate is None else self.gate[chosen]
        return Gains(gate=gate, accept=self.accept[chosen])


def at_once(capacity: int) -> CascadeRule:
    """Return the rule that runs one capacity directly, without a smaller one before it."""
    return CascadeRule(start=capacity, top=capacity)


def runs_larger(cascade: CascadeRule, believed: Floats) -> Bools:
    """Return for each input whether the cascade runs the larger capacity, (N,).

    Args:
        cascade: the capacities of the cascade and the threshold between them.
        believed: the predicted success probabilities of the inputs, (K, N, K + 1), as returned by
            `beliefs`.
    """
    if cascade.start == cascade.top:
        return np.zeros(believed.shape[1], np.bool_)
    after = believed[cascade.start - 1]
    worth: Bools = after[:, cascade.top - 1] - after[:, cascade.start - 1] > cascade.threshold
    return worth


def gains(cascade: CascadeRule, believed: Floats) -> Gains:
    """Return the predicted gains of the cloud for inputs that run through a cascade.

    Args:
        cascade: the capacities of the cascade and the threshold between them.
        believed: the predicted success probabilities of the inputs, (K, N, K + 1), as returned by
            `beliefs`.
    """
    start, top = cascade.start - 1, cascade.top - 1
    last = believed[top, :, -1] - believed[top, :, top]
    if start == top:
        return Gains(gate=None, accept=last)
    first = believed[start, :, -1] - believed[start, :, start]
    return Gains(
        gate=believed[start, :, -1]
        - np.maximum(believed[start, :, start], believed[start, :, top]),
        accept=np.where(runs_larger(cascade, believed), last, first),
    )


def of_answering_capacity(cascade: CascadeRule, believed: Floats, by_capacity: Bools) -> Bools:
    """Select for each input the value of the capacity that answers it on the device, (N,).

    This is the capacity that runs last. The values are given for all capacities.

    Args:
        cascade: the capacities of the cascade and the threshold between them.
        believed: the predicted success probabilities of the inputs, (K, N, K + 1), as returned by
            `beliefs`.
        by_capacity: for each input, the value of every capacity, (N, K), such as whether the
            capacity is right. A further column for the cloud is ignored.
    """
    return np.where(
        runs_larger(cascade, believed),
        by_capacity[:, cascade.top - 1],
        by_capacity[:, cascade.start - 1],
    )


def fit_cascade(believed: Floats, data: RoutingData, macs: Sequence[int], top: int) -> CascadeRule:
    """Return the cheapest rule with a given top capacity, which runs directly or in a cascade.

    On the given inputs, the accuracy of a cascade may be at most 0.1 percentage points lower than
    the accuracy of running `top` directly, and the loss plus its standard error may be at most 0.5
    points. If the inputs come from only a few people, the standard error is often so large that no
    cascade qualifies. The cost of a rule is its mean number of multiply-accumulates per input, plus
    a fixed number for each run of a capacity.

    Args:
        believed: the predicted success probabilities of the inputs, (K, N, K + 1), as returned by
            `beliefs`.
        data: the outputs of every option for the same inputs.
        macs: the number of multiply-accumulates of each capacity, the smallest capacity first.
        top: the capacity to run directly or as the larger one of a cascade, 1 to K.

    Returns:
        The cheapest such cascade, or the rule that runs `top` directly if none is cheaper.
    """
    right = data.right
    best, least = at_once(top), float(macs[top - 1] + _START_MACS)
    for start in range(1, top):
        after = believed[start - 1]
        worth = after[:, top - 1] - after[:, start - 1]
        for share in _LARGER_SHARES:
            threshold = float(np.quantile(worth, 1 - share)) + MARGIN
            cascade = CascadeRule(start=start, top=top, threshold=threshold)
            larger_share = float(runs_larger(cascade, believed).mean())
            needed = macs[start - 1] + _START_MACS + larger_share * (macs[top - 1] + _START_MACS)
            answered = of_answering_capacity(cascade, believed, right)
            if needed < least and _is_good_enough(answered, right[:, top - 1]):
                best, least = cascade, needed
    return best


def _is_good_enough(cascade: Bools, top: Bools) -> bool:
    gained = stretch_means(cascade.astype(np.float64) - top)
    mean, error = float(gained.mean()), standard_error(gained)
    return mean >= -_TOLERANCE and mean - error >= -_CERTAIN_TOLERANCE
