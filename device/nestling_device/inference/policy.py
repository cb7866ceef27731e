"""Decides whether an input stays on the device or goes to the cloud.

The decision rules are pure functions. One rule (`prefers_cloud`) is applied twice: after the first
capacity has run (gate) and after the last one has run (accept or escalate). An input goes to the
cloud if the cloud's predicted success probability exceeds the device's by more than a threshold.
The bundle supplies the thresholds for every target offload share. Thresholds for a tolerated risk
are certified on the device (`field_guarantee`).
"""

from dataclasses import dataclass

from nestling.v1.bundle_pb2 import RoutingCurve
from nestling_core.routing.curve import point_at


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The gains in success probability above which an input goes to the cloud.

    Attributes:
        gate: the threshold that applies after the first capacity has run.
        accept: the threshold that applies after the last capacity has run.
    """

    gate: float
    accept: float


# Send every input without running a student. Success probabilities lie in [0, 1], so their
# differences always exceed these thresholds.
KEEP_NOTHING = Thresholds(gate=-1 - 1e-6, accept=-1 - 1e-6)
# Send no input.
KEEP_ALL = Thresholds(gate=1 + 1e-6, accept=1 + 1e-6)


def runs_larger(gain: float, threshold: float) -> bool:
    """Return whether the larger capacity of a cascade runs after the smaller one.

    Args:
        gain: the predicted success probability of the larger capacity minus that of the smaller
            one.
        threshold: the gain above which the larger capacity runs.
    """
    return gain > threshold


def thresholds_for(curve: RoutingCurve, offload_share: float) -> Thresholds:
    """Return the thresholds for a target offload share.

    Each operating point of the curve has the thresholds for one share. Between two operating
    points, the thresholds are interpolated linearly.

    Args:
        curve: the routing curve, with operating points in ascending order of their share, from 0
            to 1.
        offload_share: the target share. A value outside 0 to 1 is clipped.
    """
    point = point_at(curve, offload_share)
    return Thresholds(gate=point.gate_threshold, accept=point.accept_threshold)


def keeps_nothing(thresholds: Thresholds) -> bool:
    """Return whether the thresholds send every input to the cloud before a student runs."""
    return thresholds.gate < -1


def prefers_cloud(gain: float, threshold: float) -> bool:
    """Return whether an input goes to the cloud.

    A gain of NaN, which only a broken model yields, sends the input to the cloud.

    Args:
        gain: the predicted success probability of the cloud minus that of the device.
        threshold: the gain above which the input goes to the cloud.
    """
    return not gain <= threshold
