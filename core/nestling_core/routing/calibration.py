"""A bundle's calibration: what the cloud has to be better by, for every target."""

import itertools
import math
from collections.abc import Sequence

from google.protobuf.message import DecodeError

from nestling.v1.bundle_pb2 import Calibration, CertifiedPoint, Climb, RoutingCurve


class BadCalibrationError(ValueError):
    """A calibration from which no threshold can be read for some capacity and share."""


def parse_calibration(data: bytes, capacities: int) -> Calibration:
    """Read a bundle's calibration and check that it has a threshold for every target.

    Args:
        data: the blob.
        capacities: of the bundle.

    Raises:
        BadCalibrationError: it cannot be read, or has no threshold for some capacity and share.
    """
    try:
        calibration = Calibration.FromString(data)
    except DecodeError as err:
        raise BadCalibrationError(
            "the calibration cannot be read; release the bundle again"
        ) from err
    if len(calibration.curves) != capacities:
        raise BadCalibrationError(
            f"{len(calibration.curves)} routing curves for {capacities} capacities; release the "
            "bundle again"
        )
    for capacity, curve in enumerate(calibration.curves, start=1):
        _check_curve(f"capacity {capacity}", curve)
    if len(calibration.climbs) not in {0, capacities}:
        raise BadCalibrationError(
            f"{len(calibration.climbs)} ways up for {capacities} capacities; release the bundle "
            "again"
        )
    for capacity, climb in enumerate(calibration.climbs, start=1):
        if climb.start:
            _check_climb(capacity, climb)
    return calibration


def _check_climb(capacity: int, climb: Climb) -> None:
    if not (climb.start < capacity and math.isfinite(climb.price) and 0 <= climb.climbed <= 1):
        raise BadCalibrationError(
            f"the way up to capacity {capacity} begins at {climb.start}, has the price "
            f"{climb.price} and climbs for {climb.climbed} of the inputs; release the bundle again"
        )
    _check_curve(f"the way up to capacity {capacity}", climb.curve)


def _check_curve(whose: str, curve: RoutingCurve) -> None:
    if not _is_whole(curve):
        raise BadCalibrationError(
            f"the routing curve of {whose} does not rise from share 0 to 1, or has a price that is "
            "no number; release the bundle again"
        )
    if not _are_quantiles(curve.believed):
        raise BadCalibrationError(
            f"what is believed of {whose} are no rising probabilities; release the bundle again"
        )
    if not all(map(_is_promise, curve.certified)):
        raise BadCalibrationError(
            f"a promise of {whose} has a risk outside of 0 to 1, or a price that is no number; "
            "release the bundle again"
        )


def _is_whole(curve: RoutingCurve) -> bool:
    shares = [point.offload_share for point in curve.points]
    prices = [price for point in curve.points for price in (point.gate_price, point.accept_price)]
    rising = all(low < high for low, high in itertools.pairwise(shares))
    ends = len(shares) > 1 and (shares[0], shares[-1]) == (0, 1)
    return ends and rising and all(map(math.isfinite, prices))


def _are_quantiles(believed: Sequence[float]) -> bool:
    rising = all(low <= high for low, high in itertools.pairwise(believed))
    return len(believed) > 1 and rising and believed[0] >= 0 and believed[-1] <= 1


def _is_promise(point: CertifiedPoint) -> bool:
    prices = math.isfinite(point.gate_price) and math.isfinite(point.accept_price)
    return prices and 0 < point.risk <= 1
