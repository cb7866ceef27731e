"""Operating points: prices at which wished shares of inputs go to the cloud."""

import numpy as np

from nestling.v1.bundle_pb2 import OperatingPoint, RoutingCurve
from nestling_cloud.routing.ascent import Gains
from nestling_cloud.routing.data import Bools, Floats

SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 1.0)
# Part of the offloaded inputs that the multiplexer may send off unseen by a student. It judges
# worse than the accept head, but saves the student's run.
GATED_PART = 0.1


def routing_curve(gained: Gains, device: Bools, cloud: Bools) -> RoutingCurve:
    """Operating points for a grid of wished shares.

    Args:
        gained: by inputs that the router was not fitted on.
        device: whether the capacity is right, (N,).
        cloud: whether the cloud is right, (N,).
    """
    return RoutingCurve(
        points=[
            operating_point(gained.gate, gained.accept, device, cloud, share) for share in SHARES
        ]
    )


def operating_point(
    gate: Floats, accept: Floats, device: Bools, cloud: Bools, share: float
) -> OperatingPoint:
    """Prices at which a share of inputs goes to the cloud.

    Args:
        gate: what the cloud is believed to be better by before a student runs, (N,).
        accept: the same after it ran, (N,).
        device: whether the device is right, (N,).
        cloud: whether the cloud is right, (N,).
        share: wished, 0 to 1.
    """
    gate_price, accept_price = prices(gate, accept, share)
    offloaded = (gate > gate_price) | (accept > accept_price)
    return OperatingPoint(
        offload_share=share,
        gate_price=gate_price,
        accept_price=accept_price,
        accuracy=float(np.where(offloaded, cloud, device).mean()),
    )


def prices(gate: Floats, accept: Floats, share: float) -> tuple[float, float]:
    """Prices before and after a student runs that send a share of these inputs to the cloud."""
    gate_price = _price(gate, share * GATED_PART if share < 1 else 1.0)
    gated = gate > gate_price
    left = share * len(gate) - gated.sum()
    return gate_price, _price(accept[~gated], left / max((~gated).sum(), 1))


def _price(gains: Floats, share: float) -> float:
    """The price that a share of the gains exceeds; gains lie in [-1, 1]."""
    if share <= 0 or len(gains) == 0:
        return 1.0
    if share >= 1:
        return -1.0 - 1e-6
    return float(np.quantile(gains, 1 - share))
