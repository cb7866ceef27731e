"""Finds thresholds at which the device seldom disagrees with the cloud, with a guarantee.

For a tolerated risk alpha, the guarantee is that P(device and cloud disagree | the device kept the
input) <= alpha, for inputs from the same distribution as those that it was certified on. Those
inputs are only a random sample, so the guarantee may be false, with a probability of at most delta.
The method is "Learn then Test" (Angelopoulos et al. 2021, arXiv 2110.01052), with the bound for a
selective classifier (Geifman & El-Yaniv 2017, arXiv 1705.08500).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.stats import beta

from nestling.v1.bundle_pb2 import CertifiedPoint
from nestling_cloud.learning.routing.cascade import Gains
from nestling_cloud.learning.routing.data import Bools
from nestling_cloud.learning.routing.operating_points import thresholds

RISKS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
DELTA = 0.1
# Offload shares at which thresholds are tested, from cautious to daring.
_TESTED_SHARES = tuple(number / 40 for number in range(39, -1, -1))


class Routed(Protocol):
    """Inputs that a device keeps or sends, depending on two thresholds."""

    def __len__(self) -> int:
        """Return the number of inputs, N."""
        ...

    def thresholds(self, shares: Sequence[float]) -> list[tuple[float, float]]:
        """Return the gate and the accept threshold at which each share of the inputs is sent.

        Args:
            shares: the offload shares, 0 to 1.
        """
        ...

    def outcomes(self, pairs: Sequence[tuple[float, float]]) -> tuple[Bools, Bools]:
        """Return which inputs the device keeps and which of its answers agree with the cloud's.

        Args:
            pairs: the gate and accept thresholds.

        Returns:
            Whether the device keeps each input, (R, N), and whether its own answer to the input is
            the cloud's, (R, N).
        """
        ...


@dataclass(frozen=True, kw_only=True)
class RoutedInputs:
    """Independent inputs, with the cloud's predicted gains.

    Attributes:
        gains: the predicted gains of the cloud for the inputs.
        agrees: for each input, whether the device gives the cloud's answer, (N,).
    """

    gains: Gains
    agrees: Bools

    def __len__(self) -> int:
        """Return the number of inputs, N."""
        return len(self.agrees)

    def thresholds(self, shares: Sequence[float]) -> list[tuple[float, float]]:
        """Return the thresholds for several shares, as `Routed` describes."""
        return [thresholds(self.gains, share) for share in shares]

    def outcomes(self, pairs: Sequence[tuple[float, float]]) -> tuple[Bools, Bools]:
        """Return what is kept and what agrees, as `Routed` describes."""
        kept = np.stack([~self.gains.sent(gate, accept) for gate, accept in pairs])
        return kept, np.broadcast_to(self.agrees, kept.shape)


def certify(
    fitted: Routed, held_out: Routed, *, risk: float, delta: float = DELTA
) -> CertifiedPoint | None:
    """Return the thresholds that keep as many inputs on the device as a tolerated risk allows.

    A sequence of thresholds is first fixed on the inputs that the router was fitted on, in order of
    decreasing offload shares. The thresholds are then tested in this order on the held-out inputs,
    until a test fails. Because the sequence is fixed in advance, the guarantees of all thresholds
    that passed hold together with a probability of at least 1 - delta. No correction for multiple
    tests is needed.

    Args:
        fitted: the inputs that the router was fitted on.
        held_out: the inputs that nothing was fitted on.
        risk: the tolerated share of disagreement among the inputs that the device keeps, 0 to 1.
        delta: the tolerated probability that the guarantee is false, 0 to 1.

    Returns:
        The last thresholds that passed, with the share of the held-out inputs that they offload,
        the number that they keep, and the upper bound on the risk; None if the first thresholds
        already failed.
    """
    passed = None
    sequence = _test_sequence(fitted, len(held_out), delta)
    for (gate_threshold, accept_threshold), kept, agrees in zip(
        sequence, *held_out.outcomes(sequence), strict=True
    ):
        count = int(kept.sum())
        bound = upper_bound(int((kept & ~agrees).sum()), count, delta=delta)
        if bound > risk:
            break
        passed = CertifiedPoint(
            risk=risk,
            delta=delta,
            gate_threshold=gate_threshold,
            accept_threshold=accept_threshold,
            offload_share=1 - count / len(kept),
            kept=count,
            bound=bound,
        )
    return passed


def _test_sequence(fitted: Routed, count: int, delta: float) -> list[tuple[float, float]]:
    """Return the pairs of gate and accept threshold to test, in the order of the tests.

    With each pair, the device keeps at least as many inputs as with the pair before. The first pair
    is the one with the lowest expected bound on the risk. With lower thresholds, the device would
    keep too few inputs for a low bound. With higher thresholds, it keeps more inputs on which it
    disagrees with the cloud.

    Args:
        fitted: the inputs that the router was fitted on.
        count: the number of held-out inputs to test the thresholds on.
        delta: the tolerated probability that the guarantee is false, 0 to 1.
    """
    tried = fitted.thresholds(_TESTED_SHARES)
    # A daring threshold must keep every input that a cautious one keeps.
    rising = np.maximum.accumulate(np.array(tried), axis=0)
    found = [(float(gate), float(accept)) for gate, accept in rising]
    expected = []
    for kept, agrees in zip(*fitted.outcomes(found), strict=True):
        scale = count / len(kept)
        errors = int(np.ceil((kept & ~agrees).sum() * scale))
        expected.append(upper_bound(errors, int(kept.sum() * scale), delta=delta))
    return found[int(np.argmin(expected)) :]


def upper_bound(errors: int, count: int, *, delta: float) -> float:
    """Return the Clopper-Pearson upper confidence bound on an error rate.

    Args:
        errors: the number of errors seen among `count` inputs.
        count: the number of inputs. If it is 0, the bound is 1.
        delta: the largest allowed probability, 0 to 1, that the true rate is above the bound.
    """
    if errors >= count:
        return 1.0
    return float(beta.ppf(1 - delta, errors + 1, count - errors))
