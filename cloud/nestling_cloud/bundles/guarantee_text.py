"""What a bundle promises of its routing, in words."""

from collections.abc import Sequence
from typing import Any

from nestling.v1.bundle_pb2 import Calibration, Climb, RoutingCurve


def promises(calibration: Calibration) -> list[dict[str, Any]]:
    """List what is promised of each capacity, ready for JSON.

    `start` is the capacity that runs first on the way up, 0 where there is no such way; `promised`
    holds risk, delta and offloaded share where the capacity runs at once, `on_the_way_up` the same
    there.
    """
    climbs = list(calibration.climbs) or [Climb()] * len(calibration.curves)
    return [
        {
            "capacity": number,
            "promised": _certified(curve),
            "start": climb.start,
            "on_the_way_up": _certified(climb.curve),
        }
        for number, (curve, climb) in enumerate(
            zip(calibration.curves, climbs, strict=True), start=1
        )
    ]


def _certified(curve: RoutingCurve) -> list[dict[str, float]]:
    return [
        {"risk": point.risk, "delta": point.delta, "offload_share": point.offload_share}
        for point in curve.certified
    ]


def promise_lines(told: Sequence[dict[str, Any]]) -> list[str]:
    """Say what `promises` lists, a line for each capacity."""
    lines = ["tolerated risks that are promised, and the share that goes to the cloud then:"]
    for one in told:
        lines.append(f"  capacity {one['capacity']}: {_told(one['promised'])}")
        if one["start"]:
            way = f"from {one['start']} up to {one['capacity']}"
            lines.append(f"  {way}: {_told(one['on_the_way_up'])}")
    return lines


def _told(points: Sequence[dict[str, float]]) -> str:
    if not points:
        return "none; that takes more calibration inputs, or a student that errs less"
    return ", ".join(f"{p['risk']:.1%} at {p['offload_share']:.0%}" for p in points)
