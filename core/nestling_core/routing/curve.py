"""Interpolates routing curves between their operating points.

An operating point consists of the thresholds for one offload share, and the accuracy that is
expected with them.
"""

import bisect

from nestling.v1.bundle_pb2 import OperatingPoint, RoutingCurve


def point_at(curve: RoutingCurve, offload_share: float) -> OperatingPoint:
    """Return the operating point for a target offload share, by linear interpolation.

    Args:
        curve: the routing curve, whose operating points are ordered by share, from 0 to 1.
        offload_share: the target share; a value outside 0 to 1 is clamped.
    """
    shares = [point.offload_share for point in curve.points]
    share = min(max(offload_share, shares[0]), shares[-1])
    above = min(bisect.bisect_right(shares, share), len(shares) - 1)
    low, high = curve.points[above - 1], curve.points[above]
    part = (share - low.offload_share) / (high.offload_share - low.offload_share)
    return OperatingPoint(
        offload_share=share,
        gate_threshold=low.gate_threshold + part * (high.gate_threshold - low.gate_threshold),
        accept_threshold=low.accept_threshold
        + part * (high.accept_threshold - low.accept_threshold),
        accuracy=low.accuracy + part * (high.accuracy - low.accuracy),
    )


def useful_share(curve: RoutingCurve) -> float:
    """Return the largest offload share that pays, from 0 to 1.

    With a larger share, accuracy is expected to fall. The result is 1 unless the cloud is less
    accurate than the device.

    Args:
        curve: the routing curve of the loaded capacities.
    """
    return curve.useful_share if curve.HasField("useful_share") else 1.0
