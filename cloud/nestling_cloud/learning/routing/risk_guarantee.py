"""Finds thresholds at which the device seldom disagrees with the cloud, with a guarantee.

For a tolerated risk alpha, the guarantee is that P(device and cloud disagree | the device kept the
input) <= alpha. Over the draw of the inputs that it was certified on, the guarantee is false with
probability at most delta. The guarantee holds for inputs from the same distribution. The method is
to learn and then test (Angelopoulos et al. 2021, arXiv 2110.01052), with the bound for a selective
classifier (Geifman & El-Yaniv 2017, arXiv 1705.08500).
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
# Offload shares at which thresholds are tested, from cautious to daring.
_TESTED_SHARES = tuple(number / 40 for number in range(39, -1, -1))


@dataclass(frozen=True, kw_only=True)
class RoutedInputs:
    """Inputs for which a router has predicted the gain of the cloud.

    Attributes:
        gains: the predicted gains of the cloud for the inputs.
        agrees: for each input, whether the device gives the cloud's answer, (N,).
    """

    gains: Gains
    agrees: Bools

    def kept(self, gate_threshold: float, accept_threshold: float) -> Bools:
        """Return for each input whether the device keeps it at the given thresholds, (N,).

        Args:
            gate_threshold: the largest gain at the gate with which an input is kept.
            accept_threshold: the largest gain after the last capacity with which an input is kept.
        """
        kept: Bools = ~self.gains.sent(gate_threshold, accept_threshold)
        return kept


def certify(
    fitted: RoutedInputs, held_out: RoutedInputs, *, risk: float, delta: float = DELTA
) -> CertifiedPoint | None:
    """Return the thresholds that keep as many inputs on the device as a tolerated risk allows.

    The sequence of thresholds and its start are fixed beforehand on the inputs that the router was
    fitted on. The held-out inputs then test the thresholds one after the other, from cautious to
    daring, until a test fails. The guarantees of all thresholds that passed before hold together,
    without a correction for multiple tests.

    Args:
        fitted: the inputs that the router was fitted on.
        held_out: the inputs that nothing was fitted on.
        risk: the tolerated share of disagreement among the inputs that the device keeps, 0 to 1.
        delta: the tolerated probability that the guarantee is false.

    Returns:
        The last thresholds that passed; None if the first ones already failed.
    """
    passed = None
    for gate_threshold, accept_threshold in _test_sequence(fitted, len(held_out.agrees), delta):
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


def _test_sequence(fitted: RoutedInputs, count: int, delta: float) -> list[tuple[float, float]]:
    """Return the thresholds to test, from cautious to daring.

    They start with the pair that has the lowest expected bound on `count` inputs. More cautious
    thresholds keep too few inputs to prove anything, and more daring ones keep errors.
    """
    tried = [thresholds(fitted.gains, share) for share in _TESTED_SHARES]
    # A daring threshold must keep every input that a cautious one keeps.
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
    """Return the Clopper-Pearson upper confidence bound on an error rate.

    Args:
        errors: the number of errors seen among `count` inputs.
        count: the number of inputs, which may be 0 and then gives a bound of 1.
        delta: the probability, 0 to 1, that the true rate is above the bound.
    """
    if errors >= count:
        return 1.0
    return float(beta.ppf(1 - delta, errors + 1, count - errors))
