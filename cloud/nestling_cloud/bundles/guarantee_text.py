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
        One mapping for each capacity, the smallest first, with four entries:

        - `capacity`: the number of the capacity, from 1.
        - `guaranteed`: the guarantees that apply if no smaller capacity runs first. Each guarantee
          is a mapping with the tolerated `risk`, the probability `delta` with which the guarantee
          may fail, and the share of inputs that go to the cloud, `offload_share`.
        - `start`: the number of the smaller capacity that runs first in a cascade; 0 if the
          capacity has no cascade.
        - `by_cascade`: the guarantees that apply to the cascade, in the same form as `guaranteed`.
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

    The first line is a heading. Each capacity has one line, and a second one if it has a cascade.
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
