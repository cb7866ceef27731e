"""Plans how a device certifies a tolerated risk on its own inputs.

The plan has the thresholds that the device tests, from cautious to daring, and for each the numbers
of held-out calibration inputs that a device would keep and that the cloud would change. How many
consecutive inputs count as one observation is measured for all curves of a bundle together, by
`dependence_length`. Calibration inputs only suggest where to begin; a device certifies a threshold
by audits of its own inputs.

Under a tolerated risk, no input is sent before the last capacity of a cascade has run.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nestling.v1.bundle_pb2 import AuditedThreshold, GuaranteePlan
from nestling_cloud.learning.routing.cascade import CascadeRule, gains, of_answering_capacity
from nestling_cloud.learning.routing.data import Doubles, Floats, RoutingData
from nestling_cloud.learning.routing.dependence_length import KeptAnswers
from nestling_cloud.learning.routing.operating_points import threshold_at
from nestling_cloud.learning.routing.routed_streams import RoutedStreams
from nestling_cloud.learning.routing.stream_filter import ungated

# Offload shares at which thresholds are laid out, from cautious to daring. They are closer where
# few inputs are sent: with a stream filter, the cloud hardly changes anything before.
_SHARES = (
    *(0.9, 0.8, 0.7, 0.6, 0.5, 0.43, 0.37, 0.31, 0.26, 0.22),
    *(0.18, 0.15, 0.12, 0.1, 0.08, 0.06, 0.04, 0.02, 0.01, 0.0),
)
FEWEST_INPUTS = 50
"""The number of held-out inputs below which there is no plan: with fewer, most neighboring
thresholds would have at most one or two inputs between them."""
# Gains are at most 1.
_KEEP_ALL = 1.0


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A plan of a routing curve.

    Attributes:
        plan: the plan, whose dependence length is still missing.
        parts: what the thresholds keep of the held-out inputs and of the other calibration inputs.
    """

    plan: GuaranteePlan
    parts: Sequence[KeptAnswers]


def input_plan(
    cascade: CascadeRule, held_out: tuple[RoutingData, Floats], fitted: tuple[RoutingData, Floats]
) -> Planned | None:
    """Return the plan for devices that judge every input on its own.

    Args:
        cascade: the capacities that run.
        held_out: the inputs that nothing was fitted on, with their predicted success probabilities,
            (K, N, K + 1), as returned by `beliefs`. The thresholds are derived from them.
        fitted: the other calibration inputs in the same form. They only serve to measure the
            dependence of neighbors.

    Returns:
        The plan, or None if there are fewer than 50 held-out inputs.
    """
    if len(held_out[0]) < FEWEST_INPUTS:
        return None
    accept = gains(cascade, held_out[1]).accept
    thresholds = np.unique([threshold_at(accept, share) for share in _SHARES])
    return _plan(
        thresholds,
        [_kept_inputs(cascade, *part, thresholds) for part in (held_out, fitted)],
    )


def stream_plan(held_out: RoutedStreams, fitted: RoutedStreams) -> Planned | None:
    """Return the plan for devices with a stream filter.

    Args:
        held_out: the streams that nothing was fitted on. The thresholds are derived from them.
        fitted: the other calibration streams. They only serve to measure the dependence of
            neighbors.

    Returns:
        The plan, or None if there are fewer than 50 held-out inputs.
    """
    if len(held_out.data) < FEWEST_INPUTS:
        return None
    found, _ = held_out.at_shares(_SHARES, ungated)
    thresholds = np.unique(np.minimum(found.accept, _KEEP_ALL))
    return _plan(thresholds, [_kept_in_streams(part, thresholds) for part in (held_out, fitted)])


def _kept_inputs(
    cascade: CascadeRule, data: RoutingData, believed: Floats, thresholds: Doubles
) -> KeptAnswers:
    kept = gains(cascade, believed).accept <= thresholds[:, None]
    changed = ~of_answering_capacity(cascade, believed, data.agrees)
    return KeptAnswers(
        kept=kept, changed=np.broadcast_to(changed, kept.shape), lengths=data.lengths
    )


def _kept_in_streams(routed: RoutedStreams, thresholds: Doubles) -> KeptAnswers:
    result = routed.replay(ungated(thresholds))
    return KeptAnswers(kept=~result.sent, changed=result.changed, lengths=routed.data.lengths)


def _plan(thresholds: Doubles, parts: Sequence[KeptAnswers]) -> Planned:
    """Return a plan, with the counts of the first part."""
    held_out = parts[0]
    tested = [
        AuditedThreshold(
            accept_threshold=threshold, kept=int(kept.sum()), changed=int((kept & changed).sum())
        )
        for threshold, kept, changed in zip(
            thresholds.tolist(), held_out.kept, held_out.changed, strict=True
        )
    ]
    plan = GuaranteePlan(thresholds=tested, inputs=held_out.kept.shape[1])
    return Planned(plan=plan, parts=parts)
