"""Detects when inputs are harder than those that a bundle was calibrated on.

The multiplexer predicts how likely the largest loaded capacity is to be right on an input. A bundle
contains quantiles of this probability over the calibration inputs. The quantiles determine the rank
of any input among the calibration inputs, from 0 for the easiest to 1 for the hardest. The mean
rank is 1/2 while inputs are like the calibration inputs.

The detector is an e-CUSUM (Shin, Ramdas & Rinaldo 2022, arXiv 2203.03532). It tests the hypothesis
that the mean rank is at most 1/2 + SLACK. Each input multiplies the evidence against the hypothesis
by 1 + rank - (1/2 + SLACK), a factor whose mean is at most 1 while the hypothesis holds. Evidence
below 1 is reset to 1, so that it grows at once when inputs become harder. While the hypothesis
holds, the mean number of inputs until a false alarm is at least ENOUGH. The slack allows for the
sampling error of the quantiles and for short runs of hard inputs.

Nothing here does I/O or reads a clock.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

# Excess of the mean rank over 1/2 that is not drift.
SLACK = 0.1
# Evidence at which drift is reported.
ENOUGH = 10_000.0
# Probabilities that differ by less count as equal: runtimes differ in the last bits.
_ALIKE = 1e-6


@dataclass(frozen=True)
class DriftDetector:
    """The evidence so far that inputs have become harder.

    Attributes:
        evidence: the natural logarithm of the evidence, from 0 to log(ENOUGH).
        noticed: whether inputs drift. It becomes true when `evidence` reaches log(ENOUGH), and
            false when `evidence` has returned to 0.
    """

    evidence: float = 0.0
    noticed: bool = False

    def after_input(self, rank: float) -> "DriftDetector":
        """Return the detector after one more input, given the input's rank from 0 to 1."""
        gain = math.log1p(rank - 0.5 - SLACK)
        evidence = min(math.log(ENOUGH), max(0.0, self.evidence + gain))
        return DriftDetector(
            evidence, evidence >= math.log(ENOUGH) or (self.noticed and evidence > 0)
        )


def rank_of(right: float, quantiles: Sequence[float]) -> float:
    """Return the rank of an input among the calibration inputs.

    The rank runs from 0 for the easiest input to 1 for the hardest.

    Args:
        right: the predicted probability that the largest loaded capacity is right on this input.
        quantiles: at least two quantiles of that probability over the calibration inputs, in
            ascending order. Their levels are evenly spaced from 0 (the minimum) to 1 (the maximum).
    """
    low, high = bisect_left(quantiles, right - _ALIKE), bisect_right(quantiles, right + _ALIKE)
    last = len(quantiles) - 1
    # Where several quantiles are equal, take the middle of them.
    if low < high:
        return 1 - (low + high - 1) / (2 * last)
    if low == 0:
        return 1.0
    if low > last:
        return 0.0
    below, above = quantiles[low - 1], quantiles[low]
    return 1 - (low - 1 + (right - below) / (above - below)) / last
