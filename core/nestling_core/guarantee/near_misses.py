"""Detects, from the inputs that are sent, that inputs have become harder.

Every input that is sent tells, at no extra cost, whether the cloud changes the device's answer. The
inputs that a slightly more daring threshold would have kept are like those that are kept. The first
ones give a baseline; a cumulative sum (Page 1954) detects if the cloud changes clearly more of the
later ones. A detection only raises the share of audits. Whether the risk is exceeded is for the
audits to prove.
"""

import math
from dataclasses import dataclass, replace

# Answers from which the baseline is taken, and the standard deviations that are added to it.
_BASELINE = 150
_CAUTION = 1.3
# Ratio to the baseline that the sum looks for.
_RATIO = 1.6
# Likelihood ratio at which the answers are suspicious.
_SUSPICIOUS = 300.0
_MOST_EXPECTED = 0.9
_MOST_SUSPECTED = 0.95


@dataclass(frozen=True, kw_only=True)
class NearMisses:
    """How often the cloud changes answers to inputs that are only just sent.

    Attributes:
        count: the number of answers in the baseline.
        changed: the number of these that the cloud changed.
        expected: the share of changes that is expected of later answers, or None until the baseline
            is complete.
        wealth: the likelihood ratio in favor of a clearly larger share of changes. A value below 1
            counts as 1 at the next answer.
    """

    count: int = 0
    changed: int = 0
    expected: float | None = None
    wealth: float = 1.0

    @property
    def are_suspicious(self) -> bool:
        """Whether the cloud changes clearly more answers than at the start."""
        return self.wealth >= _SUSPICIOUS

    def after_answer(self, *, changed: bool) -> "NearMisses":
        """Return the state after one more answer.

        Args:
            changed: whether the cloud changed the device's answer.
        """
        if self.expected is None:
            count, total = self.count + 1, self.changed + changed
            return replace(
                self,
                count=count,
                changed=total,
                expected=_baseline(count, total) if count >= _BASELINE else None,
            )
        suspected = min(_MOST_SUSPECTED, _RATIO * self.expected)
        ratio = suspected / self.expected if changed else (1 - suspected) / (1 - self.expected)
        return replace(self, wealth=max(1.0, self.wealth) * ratio)


def _baseline(count: int, changed: int) -> float:
    share = (changed + 1) / (count + 2)
    return min(_MOST_EXPECTED, share + _CAUTION * math.sqrt(share * (1 - share) / count))
