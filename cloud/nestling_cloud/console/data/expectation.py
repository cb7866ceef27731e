"""Estimates the accuracy and energy at a target offload share.

All functions are pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nestling.v1.bundle_pb2 import RoutingCurve
from nestling_cloud.metrics.figures import Totals
from nestling_core.routing.curve import point_at, useful_share

_CAPACITY = "capacity-"


@dataclass(frozen=True, kw_only=True)
class ExpectedEnergy:
    """Estimated mean energy of an answer at a target offload share.

    Attributes:
        compute_mj: the reported compute energy per answer, split by provenance.
        radio_mj: the reported mean energy of sending an input, multiplied by the target share and
            split by provenance.
    """

    compute_mj: Mapping[str, float]
    radio_mj: Mapping[str, float]


def expected_accuracy(curve: RoutingCurve, offload_share: float) -> float:
    """Return the expected accuracy at a target share, on inputs like the calibration inputs.

    The accuracy is interpolated between the operating points of the curve, exactly as the device
    interpolates its thresholds. Where the cloud is less accurate than the device, the share is
    limited to the useful share, as on the device.

    Args:
        curve: the routing curve of one capacity (size of the student).
        offload_share: the target share; it is limited to 0 to 1.
    """
    return point_at(curve, min(offload_share, useful_share(curve))).accuracy


def mixed_accuracy(
    curves: Sequence[RoutingCurve], residents: Mapping[int, int], offload_share: float
) -> float | None:
    """Return the mean expected accuracy of devices with different resident capacities.

    Every device counts once, with the accuracy of its resident capacity (the largest capacity in
    memory). Devices whose capacity has no curve are left out.

    How many answers each capacity gave does not matter. In a cascade, a smaller capacity answers
    the easy inputs of a device, but the curve of the resident capacity covers all of the device's
    inputs.

    Args:
        curves: the routing curve of each capacity, smallest capacity first.
        residents: a mapping from each resident capacity, 1 to K, to the number of devices.
        offload_share: the target share.

    Returns:
        The mean over the devices, or None if no device has a capacity with a curve.
    """
    counts = {k: count for k, count in residents.items() if 1 <= k <= len(curves)}
    total = sum(counts.values())
    if not total:
        return None
    accuracies = (expected_accuracy(curves[k - 1], offload_share) * n for k, n in counts.items())
    return sum(accuracies) / total


def expected_energy(totals: Totals, offload_share: float) -> ExpectedEnergy:
    """Estimate the mean energy of an answer at a target share.

    Args:
        totals: the figures that the devices reported.
        offload_share: the target share, 0 to 1.
    """
    compute: dict[str, float] = {}
    for entry in totals.energy:
        if entry.source == "compute" and totals.answers:
            part_mj = entry.energy_mj / totals.answers
            compute[entry.provenance] = compute.get(entry.provenance, 0.0) + part_mj
    inputs = sum(entry.answers for entry in totals.cloud_only)
    radio = {
        entry.provenance: offload_share * entry.energy_mj / inputs
        for entry in totals.cloud_only
        if inputs
    }
    return ExpectedEnergy(compute_mj=compute, radio_mj=radio)


def capacity_of(route: str) -> int | None:
    """Return k for the route "capacity-<k>", or None for any other route.

    A route says where an input was answered: on the device by a capacity (size of the student), or
    in the cloud.
    """
    number = route.removeprefix(_CAPACITY)
    return int(number) if route.startswith(_CAPACITY) and number.isdecimal() else None


def capacity_count(routes: Iterable[str]) -> int:
    """Return the largest capacity that the routes name, or 0 if they name none."""
    return max((capacity_of(route) or 0 for route in routes), default=0)
