"""Draws the audits of a block of inputs, and collects their verdicts.

Neighboring inputs depend on each other. All inputs of a block therefore count as one observation.
The length of a block and the number of its audits are fixed before its first input. The inputs to
audit are drawn at random, with equal chances, independently of their content.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What an audit has shown about each threshold.

    Attributes:
        kept: whether the threshold keeps the answer on the device, (T,).
        changed: whether the cloud would have changed the answer that the threshold gives, (T,).
    """

    kept: NDArray[np.bool_]
    changed: NDArray[np.bool_]


def missing_verdict(thresholds: int) -> Verdict:
    """Return the verdict of an audit that the cloud never answered.

    Such an audit counts as a change of an answer that every threshold keeps.

    Args:
        thresholds: the number of thresholds, T.
    """
    every = np.ones(thresholds, np.bool_)
    return Verdict(kept=every, changed=every)


@dataclass(frozen=True, kw_only=True)
class AuditBlock:
    """A block of inputs, some of which are audited.

    Attributes:
        number: the number of the block, which distinguishes it from others.
        length: the number of inputs in the block.
        audits: the number of inputs to audit.
        left: the number of audits that are still to be drawn.
        gains: for each threshold, the sum over the verdicts on answers that it keeps, (T,). Each of
            these verdicts adds the tolerated risk, and subtracts 1 if the answer changes.
        position: the number of inputs so far.
        waiting: the number of audits without a verdict.
        excess: the gain of the threshold in use, with the opposite sign; 0 if none is in use.
    """

    number: int
    length: int
    audits: int
    left: int
    gains: Doubles
    position: int = 0
    waiting: int = 0
    excess: float = 0.0

    @property
    def is_full(self) -> bool:
        """Whether all inputs of the block have arrived."""
        return self.position >= self.length

    @property
    def is_closed(self) -> bool:
        """Whether all inputs of the block, and all verdicts on them, have arrived."""
        return self.is_full and self.waiting == 0

    def draws(self, draw: float) -> bool:
        """Return whether the next input is audited.

        Args:
            draw: a random number, at least 0 and below 1.
        """
        return not self.is_full and draw * (self.length - self.position) < self.left

    def after_input(self, *, audited: bool) -> "AuditBlock":
        """Return the block after its next input, whose verdict comes later if it is audited."""
        return replace(
            self,
            position=self.position + 1,
            left=self.left - audited,
            waiting=self.waiting + audited,
        )

    def after_verdict(self, verdict: Verdict, risk: float, in_use: int) -> "AuditBlock":
        """Return the block after the verdict of one of its audits.

        Args:
            verdict: the verdict.
            risk: the tolerated risk.
            in_use: the number of the threshold in use, from 1, or 0 if there is none.
        """
        gains = np.where(verdict.kept, risk - verdict.changed, 0.0)
        return replace(
            self,
            waiting=self.waiting - 1,
            gains=self.gains + gains,
            excess=self.excess - (float(gains[in_use - 1]) if in_use else 0.0),
        )


def begin_block(share: float, dependence: int, thresholds: int, number: int) -> AuditBlock:
    """Return a new block, before its first input.

    The block has `dependence` inputs. If the share asks for less than one audit among so many, the
    block has 1 / share inputs instead, of which one is audited.

    Args:
        share: the share of inputs to audit, above 0 and at most 1.
        dependence: the number of consecutive inputs that count as one observation.
        thresholds: the number of thresholds.
        number: the number of the block.
    """
    if share * dependence >= 1:
        length, audits = dependence, max(1, round(share * dependence))
    else:
        length, audits = round(1 / share), 1
    return AuditBlock(
        number=number, length=length, audits=audits, left=audits, gains=np.zeros(thresholds)
    )
