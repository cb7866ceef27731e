"""Notices when inputs are harder than those that thresholds and promises were read off. Pure.

The bundle says what the multiplexer believed of calibration inputs: how likely the resident
capacity was to be right, as quantiles. An input's rank among them, 0 for the easiest and 1 for the
hardest, is 1/2 in the mean while inputs are alike. The detector bets against the statement that the
mean rank is at most 1/2 + SLACK, whatever came before: each input multiplies its evidence by
1 + rank - (1/2 + SLACK), which expects to lose under that statement. Evidence never falls below 1
for long, so that it is there when the change comes: an e-CUSUM (Shin, Ramdas & Rinaldo 2022,
arXiv 2203.03532), which under the statement takes ENOUGH inputs in the mean, or more, to raise a
false alarm. The slack is for what the quantiles of few inputs leave uncertain, and for a hard
minute.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

# What the mean rank may exceed 1/2 by.
SLACK = 0.1
# Evidence at which inputs are said to drift.
ENOUGH = 10_000.0
# Probabilities that differ by less are one: runtimes differ in their last bits.
_ALIKE = 1e-6


@dataclass(frozen=True)
class DriftDetector:
    """Evidence that inputs have become harder.

    Attributes:
        evidence: its logarithm, from 0 to that of ENOUGH.
        noticed: whether inputs drift: from when there was enough evidence until all of it is gone.
    """

    evidence: float = 0.0
    noticed: bool = False

    def after_input(self, rank: float) -> "DriftDetector":
        """One more input, of a rank from 0 to 1."""
        won = math.log1p(rank - 0.5 - SLACK)
        evidence = min(math.log(ENOUGH), max(0.0, self.evidence + won))
        return DriftDetector(
            evidence, evidence >= math.log(ENOUGH) or (self.noticed and evidence > 0)
        )


def rank_of(right: float, quantiles: Sequence[float]) -> float:
    """How hard an input is among calibration inputs, 0 to 1.

    Args:
        right: probability that the resident capacity is right, of this input.
        quantiles: of that probability at even steps from the least to the greatest, two or more.
    """
    low, high = bisect_left(quantiles, right - _ALIKE), bisect_right(quantiles, right + _ALIKE)
    last = len(quantiles) - 1
    # Many inputs may be alike: such a one stands in the middle of them.
    if low < high:
        return 1 - (low + high - 1) / (2 * last)
    if low == 0:
        return 1.0
    if low > last:
        return 0.0
    below, above = quantiles[low - 1], quantiles[low]
    return 1 - (low - 1 + (right - below) / (above - below)) / last
