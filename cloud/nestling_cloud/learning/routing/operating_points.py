"""Find operating points: thresholds at which target shares of inputs go to the cloud."""

import numpy as np

from nestling.v1.bundle_pb2 import OperatingPoint, RoutingCurve
from nestling_cloud.learning.routing.cascade import MARGIN, Gains
from nestling_cloud.learning.routing.data import Bools, Floats

# A device interpolates linearly between points. Thresholds change fast at both ends, so the grid is
# fine there.
SHARES = (
    *(0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4),
    *(0.5, 0.6, 0.75, 0.85, 0.9, 0.95, 0.98, 0.99, 1.0),
)
# In a cascade, the part of the offloaded inputs that may go right after the first capacity ran.
# This saves running the larger one, but the decision rests on less information.
GATED_PART = 0.1


def routing_curve(gained: Gains, device: Bools, cloud: Bools) -> RoutingCurve:
    """Compute the operating points for the grid of target shares.

    Args:
        gained: predicted gain of the cloud, for N inputs that the router was not fitted on.
        device: whether the device is right, (N,).
        cloud: whether the cloud is right, (N,).
    """
    return RoutingCurve(points=[operating_point(gained, device, cloud, share) for share in SHARES])


def operating_point(gained: Gains, device: Bools, cloud: Bools, share: float) -> OperatingPoint:
    """Find the thresholds that send a share of inputs to the cloud, and the accuracy they give.

    Args:
        gained: predicted gain of the cloud, for N inputs.
        device: whether the device is right, (N,).
        cloud: whether the cloud is right, (N,).
        share: target offload share, 0 to 1.
    """
    gate_threshold, accept_threshold = thresholds(gained, share)
    offloaded = gained.sent(gate_threshold, accept_threshold)
    return OperatingPoint(
        offload_share=share,
        gate_threshold=gate_threshold,
        accept_threshold=accept_threshold,
        accuracy=float(np.where(offloaded, cloud, device).mean()),
    )


def thresholds(gained: Gains, share: float) -> tuple[float, float]:
    """Return the gate and accept thresholds that send a share of these inputs to the cloud.

    Where one capacity runs directly, nothing is sent at the gate unless everything is sent.

    Args:
        gained: predicted gain of the cloud.
        share: target offload share, 0 to 1.
    """
    gate, accept = gained.gate, gained.accept
    if gate is None or share >= 1:
        return _threshold(accept, 1.0 if share >= 1 else 0.0), _threshold(accept, share)
    gate_threshold = _threshold(gate, share * GATED_PART)
    gated = gate > gate_threshold
    left = share * len(gate) - gated.sum()
    return gate_threshold, _threshold(accept[~gated], left / max((~gated).sum(), 1))


def _threshold(gains: Floats, share: float) -> float:
    """Return the threshold that a share of the gains exceeds; gains lie in [-1, 1]."""
    if share <= 0 or len(gains) == 0:
        return 1.0
    if share >= 1:
        return -1.0 - 1e-6
    return float(np.quantile(gains, 1 - share)) + MARGIN
