"""Measures how often a certified risk is exceeded on inputs that it was not certified on.

The risk is the share of disagreements with the cloud among the answers that the device keeps. A
risk is certified if held-out inputs show with the stated confidence that it is not exceeded.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.routing.curves import FittedRouters
from nestling_cloud.learning.routing import (
    DELTA,
    RISKS,
    CascadeRule,
    RoutedInputs,
    certify,
    gains,
    route_inputs,
)

DRAWS = 200


@dataclass(frozen=True, kw_only=True)
class GuaranteeStatistics:
    """Statistics of how often a risk is certified and exceeded, over many random splits of inputs.

    A guarantee is certified on one part of the inputs and checked on the other part.

    Attributes:
        risk: the tolerated risk, from 0 to 1.
        certified: the share of splits in which the risk was certified.
        violated: the share of all splits in which the risk was certified on one part, but exceeded
            on the other.
        offloaded: the mean share of the other part's inputs that are sent to the cloud, %. The mean
            is over the splits in which the risk was certified. It is NaN if there are no such
            splits.
    """

    risk: float
    certified: float
    violated: float
    offloaded: float


@dataclass(frozen=True, kw_only=True)
class BundleGuarantee:
    """The result of checking a bundle's guarantee on inputs that it was not certified on.

    Attributes:
        risk: the tolerated risk, from 0 to 1.
        disagreement: the share of answers that differ from the cloud's, among the inputs that the
            device keeps.
        offloaded: the share of the inputs that is sent to the cloud, %.
    """

    risk: float
    disagreement: float
    offloaded: float


def check_guarantees(
    routers: FittedRouters, rule: CascadeRule
) -> tuple[list[GuaranteeStatistics], list[BundleGuarantee]]:
    """Check guarantees on inputs that they were not certified on, and return the results.

    Args:
        routers: the fitted routers. Only ours is used.
        rule: the rule, which runs one capacity or a cascade.

    Returns:
        Two lists:

        - The statistics of each risk over many random splits of the held-out calibration inputs and
          the test inputs together.
        - The guarantees that are certified on the held-out inputs and checked on the test inputs. A
          risk that cannot be certified is left out.
    """
    predictions, test = routers.predictions, routers.models.test
    fitted = route_inputs(rule, predictions["fitted"], routers.fitted)
    held_out = route_inputs(rule, predictions["held_out"], routers.held_out)
    tested = route_inputs(rule, predictions["test"], test)
    checks = [_check(fitted, held_out, tested, risk) for risk in RISKS]
    both = np.concatenate((predictions["held_out"], predictions["test"]), axis=1)
    pool = RoutedInputs(
        gains=gains(rule, both), agrees=np.concatenate((held_out.agrees, tested.agrees))
    )
    size, seed = len(routers.held_out), routers.models.seed
    statistics = [_statistics(fitted, pool, size, risk, seed) for risk in RISKS]
    return statistics, [check for check in checks if check is not None]


def _statistics(
    fitted: RoutedInputs, pool: RoutedInputs, size: int, risk: float, seed: int
) -> GuaranteeStatistics:
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(pool.agrees)) for _ in range(DRAWS)]
    checks = [
        check
        for order in orders
        if (check := _check(fitted, _part(pool, order[:size]), _part(pool, order[size:]), risk))
    ]
    return GuaranteeStatistics(
        risk=risk,
        certified=len(checks) / DRAWS,
        violated=sum(check.disagreement > risk for check in checks) / DRAWS,
        offloaded=float(np.mean([check.offloaded for check in checks])) if checks else np.nan,
    )


def _check(
    fitted: RoutedInputs, held_out: RoutedInputs, others: RoutedInputs, risk: float
) -> BundleGuarantee | None:
    """Certify a risk, and check the guarantee on other inputs.

    The result is None if the risk cannot be certified.

    Args:
        fitted: the inputs that the router was fitted on.
        held_out: the inputs to certify the risk on.
        others: the inputs to check the guarantee on.
        risk: the tolerated risk, from 0 to 1.
    """
    point = certify(fitted, held_out, risk=risk)
    if point is None:
        return None
    (kept,), _ = others.outcomes([(point.gate_threshold, point.accept_threshold)])
    return BundleGuarantee(
        risk=risk,
        disagreement=float((~others.agrees[kept]).mean()) if kept.any() else 0.0,
        offloaded=float(100 * (1 - kept.mean())),
    )


def consistent_violations() -> float:
    """Return the largest share of violations that is consistent with the guarantee.

    This is two standard errors above delta, the tolerated probability that a guarantee is violated.
    """
    return float(DELTA + 2 * np.sqrt(DELTA * (1 - DELTA) / DRAWS))


def _part(inputs: RoutedInputs, chosen: NDArray[np.intp]) -> RoutedInputs:
    return RoutedInputs(gains=inputs.gains.part(chosen), agrees=inputs.agrees[chosen])
