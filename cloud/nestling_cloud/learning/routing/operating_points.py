"""Finds the operating points, which are the thresholds that meet target offload shares."""

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
    """Return a curve with the operating points for all target offload shares in `SHARES`.

    Args:
        gained: the predicted gains of the cloud for N inputs that the router was not fitted on.
        device: for each input, whether the device is right, (N,).
        cloud: for each input, whether the cloud is right, (N,).
    """
    return RoutingCurve(points=[operating_point(gained, device, cloud, share) for share in SHARES])


def operating_point(gained: Gains, device: Bools, cloud: Bools, share: float) -> OperatingPoint:
    """Return the operating point at which a share of the inputs goes to the cloud.

    It holds the thresholds and the accuracy with which the inputs are then answered.

    Args:
        gained: the predicted gains of the cloud for N inputs.
        device: for each input, whether the device is right, (N,).
        cloud: for each input, whether the cloud is right, (N,).
        share: the target offload share, 0 to 1.
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
    """Return the gate and the accept threshold that send a share of the inputs to the cloud.

    In a cascade, a tenth of these inputs is sent at the gate, before the larger capacity has run.
    If one capacity runs directly, the gate sends no input. If all inputs are to be sent, both
    thresholds are below every possible gain.

    Args:
        gained: the predicted gains of the cloud for the inputs.
        share: the target offload share, 0 to 1.

    Returns:
        The gate threshold and the accept threshold.
    """
    gate, accept = gained.gate, gained.accept
    if gate is None or share >= 1:
        return threshold_at(accept, 1.0 if share >= 1 else 0.0), threshold_at(accept, share)
    gate_threshold = threshold_at(gate, share * GATED_PART)
    gated = gate > gate_threshold
    left = share * len(gate) - gated.sum()
    return gate_threshold, threshold_at(accept[~gated], left / max((~gated).sum(), 1))


def threshold_at(gains: Floats, share: float) -> float:
    """Return the threshold that a share of the gains exceeds.

    Args:
        gains: the gains, from -1 to 1, (N,).
        share: the share, 0 to 1.
    """
    if share <= 0 or len(gains) == 0:
        return 1.0
    if share >= 1:
        return -1.0 - 1e-6
    return float(np.quantile(gains, 1 - share)) + MARGIN
