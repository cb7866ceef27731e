"""Estimates which threshold is certified first, and how many inputs a certificate takes.

The estimates follow from what the thresholds did on calibration inputs, as a bundle's plan lists
it, and from the device's own audits. They are not part of the test: a wrong estimate costs time,
but never certifies a threshold whose risk is too high.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import GuaranteePlan
from nestling_core.guarantee import bets
from nestling_core.guarantee.certification import DELTA

Doubles = NDArray[np.float64]

# Calibration inputs count as so many audits in an estimate.
_PRIOR_AUDITS = 50.0
# More than this cannot be told from never.
_MOST_INPUTS = 10_000_000


def first_threshold(plan: GuaranteePlan, risk: float) -> int:
    """Return the index, from 0, of the threshold that is expected to be certified first.

    Args:
        plan: the plan of the bundle.
        risk: the tolerated risk, above 0 and below 1.
    """
    kept, changed = _rates(plan, 0, (), ())
    growth = kept * (risk - changed)
    return int(growth.argmax())


def inputs_to_go(
    plan: GuaranteePlan,
    risk: float,
    missing: Sequence[float],
    *,
    audits: int,
    kept: Sequence[int],
    changed: Sequence[int],
) -> int | None:
    """Return roughly how many more inputs it takes until the next threshold is certified.

    Args:
        plan: the plan of the bundle.
        risk: the tolerated risk, above 0 and below 1.
        missing: for each threshold, the natural logarithm of the factor by which its wealth must
            still grow, as returned by `Certification.missing`, (T,). A certified threshold has
            infinity.
        audits: the number of audits so far.
        kept: for each threshold, the number of audited answers that it keeps, (T,).
        changed: for each threshold, the number of these answers that the cloud would change, (T,).

    Returns:
        The number of inputs, or None if it is infinite or at least 10 million.
    """
    found = expected_inputs(plan, risk, missing, audits=audits, kept=kept, changed=changed)
    soonest = float(found.min())
    return math.ceil(soonest) if soonest < _MOST_INPUTS else None


def expected_inputs(
    plan: GuaranteePlan,
    risk: float,
    missing: Sequence[float],
    *,
    audits: int = 0,
    kept: Sequence[int] = (),
    changed: Sequence[int] = (),
) -> Doubles:
    """Return roughly how many more inputs it takes until each threshold is certified, (T,).

    The number is infinite for a threshold that is certified already, and for one whose expected
    risk is too high. The estimate assumes that every input is audited, as is the case until the
    first threshold is certified. The arguments are those of `inputs_to_go`.
    """
    kept_share, changed_share = _rates(plan, audits, kept, changed)
    whole = bets.blocks_until_proof(kept_share * (risk - changed_share), risk, DELTA)
    part = np.maximum(np.array(missing), 0.0) / math.log(2 / DELTA)
    # A threshold that is certified, or that cannot be, is never certified in the future.
    found: Doubles = np.where(np.isfinite(whole), part * whole, np.inf) * plan.dependence
    return found


def _rates(
    plan: GuaranteePlan, audits: int, kept: Sequence[int], changed: Sequence[int]
) -> tuple[Doubles, Doubles]:
    """Return the share of inputs that each threshold keeps, and the share of these that change."""
    before = np.array([[one.kept, one.changed] for one in plan.thresholds], np.float64)
    share = before[:, 0] / max(plan.inputs, 1)
    change = (before[:, 1] + 0.5) / (before[:, 0] + 1)
    if not audits:
        return share, change
    own_kept, own_changed = np.array(kept, np.float64), np.array(changed, np.float64)
    weight = _PRIOR_AUDITS * share
    return (
        (own_kept + weight) / (audits + _PRIOR_AUDITS),
        (own_changed + weight * change) / (own_kept + weight + 1e-9),
    )
