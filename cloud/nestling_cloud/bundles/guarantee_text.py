"""Formats a bundle's certified risk guarantees as JSON values and as text.

A risk guarantee limits how often an answer that stays on the device may differ from the cloud's.
"""

from collections.abc import Sequence
from typing import Any

from nestling.v1.bundle_pb2 import Calibration, Cascade, RoutingCurve


def guarantees(calibration: Calibration) -> list[dict[str, Any]]:
    """Return the risk guarantees of each capacity as JSON values.

    Args:
        calibration: the bundle's calibration.

    Returns:
        One entry for each capacity. `guaranteed` lists the guarantees for the case that the
        capacity runs directly. Each has the tolerated risk, the probability `delta` that the
        guarantee is broken, and the share of inputs that are offloaded. `by_cascade` lists the
        same for a cascade, where a smaller capacity runs first. `start` is the number of that
        smaller capacity, or 0 if there is no cascade.
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


def guarantee_lines(listed: Sequence[dict[str, Any]]) -> list[str]:
    """Return the output of `guarantees` as lines of text.

    A heading is followed by one line for each capacity, and by a second line for a capacity that
    has a cascade.
    """
    lines = ["certified risks, each with the share of inputs that it offloads:"]
    for entry in listed:
        lines.append(f"  capacity {entry['capacity']}: {_points_text(entry['guaranteed'])}")
        if entry["start"]:
            cascade = f"cascade from {entry['start']} to {entry['capacity']}"
            lines.append(f"  {cascade}: {_points_text(entry['by_cascade'])}")
    return lines


def _points_text(points: Sequence[dict[str, float]]) -> str:
    if not points:
        return "none; this needs more calibration inputs or a more accurate student"
    return ", ".join(f"{p['risk']:.1%} at {p['offload_share']:.0%}" for p in points)
