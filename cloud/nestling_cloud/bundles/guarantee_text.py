"""What a bundle guarantees of its routing, in words."""

from collections.abc import Sequence
from typing import Any

from nestling.v1.bundle_pb2 import Calibration, Cascade, RoutingCurve


def guarantees(calibration: Calibration) -> list[dict[str, Any]]:
    """List what is promised of each capacity, ready for JSON.

    `start` is the capacity that runs first in a cascade, 0 where there is no such way; `guaranteed`
    holds risk, delta and offloaded share where the capacity runs at once, `by_cascade` the same
    there.
    """
    cascades = list(calibration.cascades) or [Cascade()] * len(calibration.curves)
    return [
        {
            "capacity": number,
            "guaranteed": _certified(curve),
            "start": cascade.start,
            "by_cascade": _certified(cascade.curve),
        }
        for number, (curve, cascade) in enumerate(
            zip(calibration.curves, cascades, strict=True), start=1
        )
    ]


def _certified(curve: RoutingCurve) -> list[dict[str, float]]:
    return [
        {"risk": point.risk, "delta": point.delta, "offload_share": point.offload_share}
        for point in curve.certified
    ]


def guarantee_lines(told: Sequence[dict[str, Any]]) -> list[str]:
    """Say what `guarantees` lists, a line for each capacity."""
    lines = ["tolerated risks that are promised, and the share that goes to the cloud then:"]
    for one in told:
        lines.append(f"  capacity {one['capacity']}: {_told(one['guaranteed'])}")
        if one["start"]:
            way = f"from {one['start']} up to {one['capacity']}"
            lines.append(f"  {way}: {_told(one['by_cascade'])}")
    return lines


def _told(points: Sequence[dict[str, float]]) -> str:
    if not points:
        return "none; that takes more calibration inputs, or a student that errs less"
    return ", ".join(f"{p['risk']:.1%} at {p['offload_share']:.0%}" for p in points)
