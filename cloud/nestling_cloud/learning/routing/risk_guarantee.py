"""Promises: prices at which the device, where it answers itself, seldom differs from the cloud.

For a tolerated risk alpha the bundle names prices at which P(device and cloud disagree | the device
kept the input) <= alpha, and the statement is false with probability delta at most, over the draw
of the inputs that it was read off (learn then test: Angelopoulos et al. 2021, arXiv 2110.01052; the
selective classifier's bound of Geifman & El-Yaniv 2017, arXiv 1705.08500). It holds for inputs that
are drawn as those were.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from nestling.v1.bundle_pb2 import CertifiedPoint
from nestling_cloud.learning.routing.cascade import Gains
from nestling_cloud.learning.routing.data import Bools
from nestling_cloud.learning.routing.operating_points import prices

RISKS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
DELTA = 0.1
# Shares of offloaded inputs at which prices are tried, from cautious to daring.
_TRIED = tuple(number / 40 for number in range(39, -1, -1))


@dataclass(frozen=True, kw_only=True)
class Judged:
    """How inputs went that a router judged.

    Attributes:
        gains: what it believed.
        agrees: whether the device answers as the cloud does, (N,).
    """

    gains: Gains
    agrees: Bools

    def kept(self, gate_price: float, accept_price: float) -> Bools:
        """Inputs that the device keeps at such prices, (N,)."""
        kept: Bools = ~self.gains.sent(gate_price, accept_price)
        return kept


def certify(
    fitted: Judged, held_out: Judged, *, risk: float, delta: float = DELTA
) -> CertifiedPoint | None:
    """Find the prices that keep most inputs on the device under a tolerated risk.

    Prices are laid out beforehand, on the inputs that the router was fitted on, and so is the place
    to begin. On inputs that were held out they are tested one after the other, from cautious to
    daring, and the first failure ends it: so all that passed hold at once, without a correction
    for their number.

    Args:
        fitted: inputs that the router was fitted on.
        held_out: inputs that it was not fitted on.
        risk: tolerated share of disagreement among inputs that the device keeps, 0 to 1.
        delta: probability that the statement is false.

    Returns:
        The last prices that passed; None where not even the first ones did.
    """
    passed = None
    for gate_price, accept_price in _laid_out(fitted, len(held_out.agrees), delta):
        kept = held_out.kept(gate_price, accept_price)
        count = int(kept.sum())
        bound = upper_bound(int((kept & ~held_out.agrees).sum()), count, delta=delta)
        if bound > risk:
            break
        passed = CertifiedPoint(
            risk=risk,
            delta=delta,
            gate_price=gate_price,
            accept_price=accept_price,
            offload_share=1 - count / len(kept),
            kept=count,
            bound=bound,
        )
    return passed


def _laid_out(fitted: Judged, count: int, delta: float) -> list[tuple[float, float]]:
    """Prices to test, from where the fitted inputs let `count` others expect the best bound.

    A very cautious price keeps few inputs, too few to show anything; a daring one keeps errors.
    """
    tried = [prices(fitted.gains, share) for share in _TRIED]
    # A daring price keeps all that a cautious one keeps.
    rising = np.maximum.accumulate(np.array(tried), axis=0)
    found = [(float(gate), float(accept)) for gate, accept in rising]
    expected = []
    for gate_price, accept_price in found:
        kept = fitted.kept(gate_price, accept_price)
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
