"""What a bundle says of its router: prices for wished shares, and for tolerated risks."""

from nestling.v1.bundle_pb2 import Calibration, CertifiedPoint
from nestling_cloud.routing.data import RoutingData
from nestling_cloud.routing.points import routing_curve
from nestling_cloud.routing.promise import RISKS, Judged, certify
from nestling_cloud.routing.router import Router, gains


def calibrate(router: Router, fitted: RoutingData, held_out: RoutingData) -> Calibration:
    """Read prices off inputs that nothing was fitted on.

    Args:
        router: the one that is shipped.
        fitted: inputs that it was fitted on.
        held_out: inputs that it was not fitted on.

    Returns:
        For each capacity the prices at which wished shares are offloaded, the accuracy that then
        results, and the prices that keep a tolerated risk.
    """
    known, unseen = _judged(router, fitted), _judged(router, held_out)
    right = held_out.right
    curves = []
    for index in range(held_out.capacities):
        curve = routing_curve(unseen[index].gains, right[:, index], right[:, -1])
        curve.certified.extend(_certified(known[index], unseen[index]))
        curves.append(curve)
    return Calibration(curves=curves, inputs=len(held_out))


def _judged(router: Router, data: RoutingData) -> list[Judged]:
    agrees = data.agrees
    return [
        Judged(gains=gained, agrees=agrees[:, index])
        for index, gained in enumerate(gains(router, data))
    ]


def _certified(fitted: Judged, held_out: Judged) -> list[CertifiedPoint]:
    found = [certify(fitted, held_out, risk=risk) for risk in RISKS]
    return [point for point in found if point is not None]
