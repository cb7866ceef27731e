import pytest

from nestling.v1.bundle_pb2 import OperatingPoint, RoutingCurve
from nestling_core.routing.curve import point_at

CURVE = RoutingCurve(
    points=[
        OperatingPoint(offload_share=0, gate_threshold=0.8, accept_threshold=0.4, accuracy=0.5),
        OperatingPoint(offload_share=0.5, gate_threshold=0.2, accept_threshold=0.2, accuracy=0.75),
        OperatingPoint(offload_share=1, gate_threshold=-1, accept_threshold=-1, accuracy=1),
    ]
)


def test_operating_points_are_returned_unchanged() -> None:
    assert [point_at(CURVE, point.offload_share) for point in CURVE.points] == list(CURVE.points)


def test_values_between_two_points_are_interpolated_linearly() -> None:
    point = point_at(CURVE, 0.25)

    assert point.offload_share == 0.25
    assert (point.gate_threshold, point.accept_threshold) == pytest.approx((0.5, 0.3))
    assert point.accuracy == pytest.approx(0.625)


@pytest.mark.parametrize(("share", "end"), [(-1, 0), (2, 2)])
def test_share_beyond_the_curve_is_clamped(share: float, end: int) -> None:
    assert point_at(CURVE, share) == CURVE.points[end]
