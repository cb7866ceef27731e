"""Parses and validates a bundle's calibration, which contains the routing thresholds."""

import itertools
import math
from collections.abc import Sequence

from google.protobuf.message import DecodeError

from nestling.v1.bundle_pb2 import Calibration, Cascade, GuaranteePlan, RoutingCurve, StreamFilter
from nestling_core.routing.curve import useful_share

# A device has a belief, and evidence, for each threshold of a plan.
_MOST_THRESHOLDS = 64
_MOST_DEPENDENCE = 10_000


class BadCalibrationError(ValueError):
    """Raised when a calibration cannot be parsed, or is incomplete or invalid."""


def parse_calibration(data: bytes, capacities: int) -> Calibration:
    """Return a bundle's calibration, after checking its routing curves, cascades and plans.

    Every capacity needs a curve from offload share 0 to 1. Cascades are optional, and so are the
    plans for certifying a tolerated risk.

    Args:
        data: the serialized calibration.
        capacities: the number of capacities in the bundle.

    Raises:
        BadCalibrationError: the calibration cannot be parsed, the number of curves or cascades is
            wrong, or a curve, cascade or plan is invalid.
    """
    try:
        calibration = Calibration.FromString(data)
    except DecodeError as err:
        raise BadCalibrationError("the calibration cannot be read") from err
    if len(calibration.curves) != capacities:
        raise BadCalibrationError(
            f"{len(calibration.curves)} routing curves for {capacities} capacities"
        )
    for capacity, curve in enumerate(calibration.curves, start=1):
        _check_curve(f"capacity {capacity}", curve)
    if len(calibration.cascades) not in {0, capacities}:
        raise BadCalibrationError(
            f"{len(calibration.cascades)} cascades for {capacities} capacities"
        )
    for capacity, cascade in enumerate(calibration.cascades, start=1):
        if cascade.start:
            _check_cascade(capacity, cascade)
    return calibration


def _check_cascade(capacity: int, cascade: Cascade) -> None:
    if not (
        cascade.start < capacity
        and math.isfinite(cascade.threshold)
        and 0 <= cascade.larger_share <= 1
    ):
        raise BadCalibrationError(
            f"the cascade to capacity {capacity} is invalid: start {cascade.start}, threshold "
            f"{cascade.threshold}, larger share {cascade.larger_share}"
        )
    _check_curve(f"the cascade to capacity {capacity}", cascade.curve)


def _check_curve(whose: str, curve: RoutingCurve) -> None:
    if not _is_whole(curve):
        raise BadCalibrationError(
            f"the routing curve of {whose} does not rise from share 0 to 1, or has a threshold "
            "that is not a number"
        )
    if not _are_quantiles(curve.believed):
        raise BadCalibrationError(f"the believed quantiles of {whose} are not rising probabilities")
    if curve.HasField("filter") and not _is_filter(curve.filter):
        raise BadCalibrationError(f"the stream filter of {whose} has a parameter out of range")
    if not 0 <= useful_share(curve) <= 1:
        raise BadCalibrationError(f"the useful share of {whose} is not between 0 and 1")
    if curve.HasField("guarantee") and not _is_plan(curve.guarantee):
        raise BadCalibrationError(
            f"the plan for the guarantee of {whose} has thresholds that do not rise, a count that "
            "is too large, or a dependence length out of range"
        )


def _is_whole(curve: RoutingCurve) -> bool:
    shares = [point.offload_share for point in curve.points]
    thresholds = [
        threshold
        for point in curve.points
        for threshold in (point.gate_threshold, point.accept_threshold)
    ]
    rising = all(low < high for low, high in itertools.pairwise(shares))
    ends = len(shares) > 1 and (shares[0], shares[-1]) == (0, 1)
    return ends and rising and all(map(math.isfinite, thresholds))


def _are_quantiles(believed: Sequence[float]) -> bool:
    rising = all(low <= high for low, high in itertools.pairwise(believed))
    return len(believed) > 1 and rising and believed[0] >= 0 and believed[-1] <= 1


def _is_filter(parameters: StreamFilter) -> bool:
    return (
        0 <= parameters.stay < 1
        and 0 <= parameters.reread <= 1
        and 0 < parameters.misread < 0.5
        and 0 < parameters.weight <= 1
        and 0 < parameters.doubt < 1
    )


def _is_plan(plan: GuaranteePlan) -> bool:
    thresholds = [one.accept_threshold for one in plan.thresholds]
    return (
        0 < len(thresholds) <= _MOST_THRESHOLDS
        and all(map(math.isfinite, thresholds))
        and all(low < high for low, high in itertools.pairwise(thresholds))
        and all(one.changed <= one.kept <= plan.inputs for one in plan.thresholds)
        and 1 <= plan.dependence <= _MOST_DEPENDENCE
    )
