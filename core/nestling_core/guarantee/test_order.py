"""Decides which threshold is tested first, and estimates how many inputs a test still needs.

Both follow from what the thresholds did on calibration inputs. That is no evidence for the device's
own inputs: a wrong order costs time, but proves nothing that is false.
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
    """Return the index of the threshold that is expected to be certified after the fewest inputs.

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
    """Return about how many inputs are missing until a threshold is certified.

    While nothing is certified, every input is audited.

    Args:
        plan: the plan of the bundle.
        risk: the tolerated risk, above 0 and below 1.
        missing: for each threshold, the logarithm of the wealth that is missing for its
            certificate; infinity if it is not tested next; (T,).
        audits: the number of audits so far.
        kept: for each threshold, the number of audited answers that it keeps, (T,).
        changed: for each threshold, the number of these answers that the cloud would change, (T,).

    Returns:
        The number of inputs, or None if no end can be foreseen.
    """
    kept_share, changed_share = _rates(plan, audits, kept, changed)
    whole = bets.blocks_until_proof(kept_share * (risk - changed_share), risk, DELTA)
    blocks = [
        max(wanted, 0.0) / math.log(2 / DELTA) * count if math.isfinite(count) else math.inf
        for wanted, count in zip(missing, whole.tolist(), strict=True)
    ]
    found = min(blocks) * plan.dependence
    return math.ceil(found) if found < _MOST_INPUTS else None


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
