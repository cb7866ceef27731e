"""What a target offload share is expected to bring: pure functions over a bundle and figures."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nestling.v1.bundle_pb2 import RoutingCurve
from nestling_cloud.metrics.views import Totals
from nestling_core.routing.curve import point_at

_CAPACITY = "capacity-"


@dataclass(frozen=True, kw_only=True)
class ExpectedEnergy:
    """Energy of one answer at a target share, from what was reported.

    Attributes:
        compute_mj: by provenance, as it was per answer.
        radio_mj: by provenance: the share, times what sending one input takes.
    """

    compute_mj: Mapping[str, float]
    radio_mj: Mapping[str, float]


def expected_accuracy(curve: RoutingCurve, offload_share: float) -> float:
    """Accuracy at a target share, between operating points where the device's thresholds are too.

    Args:
        curve: of one capacity.
        offload_share: wished; below 0 it is 0, above 1 it is 1.
    """
    return point_at(curve, offload_share).accuracy


def mixed_accuracy(
    curves: Sequence[RoutingCurve], residents: Mapping[int, int], offload_share: float
) -> float | None:
    """Accuracy of devices that hold several capacities.

    Not by who answered: in a cascade the small capacities answer the easy inputs of devices whose
    accuracy is the larger one's.

    Args:
        curves: by capacity, smallest first.
        residents: devices by resident capacity, 1 to K.
        offload_share: wished.

    Returns:
        Mean over the devices, None without any.
    """
    known = {k: count for k, count in residents.items() if 1 <= k <= len(curves)}
    total = sum(known.values())
    if not total:
        return None
    accuracies = (expected_accuracy(curves[k - 1], offload_share) * n for k, n in known.items())
    return sum(accuracies) / total


def expected_energy(totals: Totals, offload_share: float) -> ExpectedEnergy:
    """Energy of one answer at a target share."""
    compute: dict[str, float] = {}
    for entry in totals.energy:
        if entry.source == "compute" and totals.answers:
            part_mj = entry.energy_mj / totals.answers
            compute[entry.provenance] = compute.get(entry.provenance, 0.0) + part_mj
    asked = sum(entry.answers for entry in totals.cloud_only)
    radio = {
        entry.provenance: offload_share * entry.energy_mj / asked
        for entry in totals.cloud_only
        if asked
    }
    return ExpectedEnergy(compute_mj=compute, radio_mj=radio)


def capacity_of(route: str) -> int | None:
    """Number of the capacity that a route names, None for the cloud."""
    number = route.removeprefix(_CAPACITY)
    return int(number) if route.startswith(_CAPACITY) and number.isdecimal() else None


def capacity_count(routes: Iterable[str]) -> int:
    """Largest capacity that routes name, 0 without one."""
    return max((capacity_of(route) or 0 for route in routes), default=0)
