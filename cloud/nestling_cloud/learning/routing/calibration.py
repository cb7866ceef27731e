"""What a bundle says of its router: prices for wished shares, and for tolerated risks."""

from collections.abc import Callable, Sequence

import numpy as np

from nestling.v1.bundle_pb2 import Calibration, CertifiedPoint, Climb, RoutingCurve
from nestling_cloud.learning.routing.cascade import (
    Ascent,
    at_once,
    climbs,
    find_ascent,
    gains,
    taken,
)
from nestling_cloud.learning.routing.data import Floats, RoutingData
from nestling_cloud.learning.routing.fit_multiplexer import beliefs
from nestling_cloud.learning.routing.operating_points import routing_curve
from nestling_cloud.learning.routing.risk_guarantee import RISKS, Judged, certify
from nestling_cloud.models.multiplexer import Multiplexer

# By which a device tells whether its inputs are like the calibration inputs.
_QUANTILES = 33


def calibrate(
    multiplexer: Multiplexer, fitted: RoutingData, held_out: RoutingData, macs: Sequence[int]
) -> Calibration:
    """Read prices off inputs that nothing was fitted on.

    Args:
        multiplexer: the one that is shipped.
        fitted: inputs that it was fitted on; ways up are found on them.
        held_out: inputs that it was not fitted on.
        macs: multiply-accumulates of each capacity.

    Returns:
        For each capacity, run at once and on the way up to it, the prices at which wished shares
        are offloaded, the accuracy that then results, the prices that keep a tolerated risk, and
        what inputs like these are believed to be.
    """
    known, unseen = beliefs(multiplexer, fitted), beliefs(multiplexer, held_out)
    capacities = range(1, held_out.capacities + 1)
    ascents = [find_ascent(known, fitted, macs, top) for top in capacities]

    def curve(ascent: Ascent) -> RoutingCurve:
        judged = judge(ascent, unseen, held_out)
        made = routing_curve(
            judged.gains, taken(ascent, unseen, held_out.right), held_out.right[:, -1]
        )
        made.certified.extend(_certified(judge(ascent, known, fitted), judged))
        made.believed.extend(_quantiles(unseen[ascent.start - 1, :, ascent.top - 1]))
        return made

    return Calibration(
        curves=[curve(at_once(capacity)) for capacity in capacities],
        inputs=len(held_out),
        climbs=[_climb(ascent, unseen, curve) for ascent in ascents],
    )


def judge(ascent: Ascent, believed: Floats, data: RoutingData) -> Judged:
    """How inputs go on a way up."""
    return Judged(gains=gains(ascent, believed), agrees=taken(ascent, believed, data.agrees))


def _climb(ascent: Ascent, believed: Floats, curve: Callable[[Ascent], RoutingCurve]) -> Climb:
    if ascent.start == ascent.top:
        return Climb()
    return Climb(
        start=ascent.start,
        price=ascent.price,
        climbed=float(climbs(ascent, believed).mean()),
        curve=curve(ascent),
    )


def _quantiles(believed: Floats) -> list[float]:
    found: list[float] = np.quantile(believed, np.linspace(0, 1, _QUANTILES)).tolist()
    return found


def _certified(fitted: Judged, held_out: Judged) -> list[CertifiedPoint]:
    found = [certify(fitted, held_out, risk=risk) for risk in RISKS]
    return [point for point in found if point is not None]
