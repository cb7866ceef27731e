"""Risk guarantees: thresholds at which the device seldom disagrees with the cloud.

For a tolerated risk alpha the bundle names thresholds at which P(device and cloud disagree | the
device kept the input) <= alpha, and the statement is false with probability delta at most, over the
draw of the inputs that it was read off (learn then test: Angelopoulos et al. 2021, arXiv
2110.01052; the selective classifier's bound of Geifman & El-Yaniv 2017, arXiv 1705.08500). It holds
for inputs that are drawn as those were.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from nestling.v1.bundle_pb2 import CertifiedPoint
from nestling_cloud.learning.routing.cascade import Gains
from nestling_cloud.learning.routing.data import Bools
from nestling_cloud.learning.routing.operating_points import thresholds

RISKS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
DELTA = 0.1
# Shares of offloaded inputs at which thresholds are tried, from cautious to daring.
_TRIED = tuple(number / 40 for number in range(39, -1, -1))


@dataclass(frozen=True, kw_only=True)
class RoutedInputs:
    """How inputs went that a router judged.

    Attributes:
        gains: what it believed.
        agrees: whether the device answers as the cloud does, (N,).
    """

    gains: Gains
    agrees: Bools

    def kept(self, gate_threshold: float, accept_threshold: float) -> Bools:
        """Inputs that the device keeps at such thresholds, (N,)."""
        kept: Bools = ~self.gains.sent(gate_threshold, accept_threshold)
        return kept


def certify(
    fitted: RoutedInputs, held_out: RoutedInputs, *, risk: float, delta: float = DELTA
) -> CertifiedPoint | None:
    """Find the thresholds that keep most inputs on the device under a tolerated risk.

    Thresholds are laid out beforehand, on the inputs that the router was fitted on, and so is the
    place to begin. On inputs that were held out they are tested one after the other, from cautious
    to daring, and the first failure ends it: so all that passed hold at once, without a correction
    for their number.

    Args:
        fitted: inputs that the router was fitted on.
        held_out: inputs that it was not fitted on.
        risk: tolerated share of disagreement among inputs that the device keeps, 0 to 1.
        delta: probability that the statement is false.

    Returns:
        The last thresholds that passed; None where not even the first ones did.
    """
    passed = None
    for gate_threshold, accept_threshold in _laid_out(fitted, len(held_out.agrees), delta):
        kept = held_out.kept(gate_threshold, accept_threshold)
        count = int(kept.sum())
        bound = upper_bound(int((kept & ~held_out.agrees).sum()), count, delta=delta)
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


def _laid_out(fitted: RoutedInputs, count: int, delta: float) -> list[tuple[float, float]]:
    """Thresholds to test, from where the fitted inputs let `count` others expect the best bound.

    A very cautious threshold keeps few inputs, too few to show anything; a daring one keeps errors.
    """
    tried = [thresholds(fitted.gains, share) for share in _TRIED]
    # A daring threshold keeps all that a cautious one keeps.
    rising = np.maximum.accumulate(np.array(tried), axis=0)
    found = [(float(gate), float(accept)) for gate, accept in rising]
    expected = []
    for gate_threshold, accept_threshold in found:
        kept = fitted.kept(gate_threshold, accept_threshold)
        scale = count / len(kept)
        errors = int(np.ceil((kept & ~fitted.agrees).sum() * scale))
        expected.append(upper_bound(errors, int(kept.sum() * scale), delta=delta))
    return found[int(np.argmin(expected)) :]


def upper_bound(errors: int, count: int, *, delta: float) -> float:
    """Clopper & Pearson's upper bound on a rate, false with probability delta at most.

    Args:
        errors: seen among `count` inputs.
        count: inputs; of none, the bound is 1.
        delta: probability that the rate is above the bound, 0 to 1.
    """
    if errors >= count:
        return 1.0
    return float(beta.ppf(1 - delta, errors + 1, count - errors))
