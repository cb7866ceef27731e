import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling.v1.bundle_pb2 import OperatingPoint, RoutingCurve
from nestling_cloud.console.data.expectation import (
    capacity_of,
    expected_accuracy,
    expected_energy,
    mixed_accuracy,
)
from nestling_device.inference.policy import thresholds_for
from tests.support.console_views import nothing, totals


def _curve(*points: tuple[float, float]) -> RoutingCurve:
    """Make a curve whose gate threshold is its accuracy."""
    return RoutingCurve(
        points=[
            OperatingPoint(offload_share=share, accuracy=accuracy, gate_threshold=accuracy)
            for share, accuracy in points
        ]
    )


CURVE = _curve((0, 0.6), (0.1, 0.7), (0.5, 0.72), (1, 0.9))


@given(share=st.floats(-1, 2))
def test_accuracy_is_interpolated_like_the_thresholds_of_the_device(share: float) -> None:
    assert expected_accuracy(CURVE, share) == pytest.approx(thresholds_for(CURVE, share).gate)


@pytest.mark.parametrize(("share", "accuracy"), [(0, 0.6), (0.05, 0.65), (1, 0.9), (7, 0.9)])
def test_accuracy_is_interpolated_between_operating_points(share: float, accuracy: float) -> None:
    assert expected_accuracy(CURVE, share) == pytest.approx(accuracy)


def test_accuracy_beyond_the_useful_share_is_that_of_the_useful_share() -> None:
    curve = _curve((0, 0.8), (0.5, 0.85), (1, 0.7))
    curve.useful_share = 0.5

    assert expected_accuracy(curve, 0.9) == pytest.approx(0.85)


def test_mixed_accuracy_weighs_capacities_by_their_devices() -> None:
    curves = [_curve((0, 0.5), (1, 0.5)), _curve((0, 0.9), (1, 0.9))]

    assert mixed_accuracy(curves, {1: 1, 2: 3}, 0.5) == pytest.approx(0.8)
    assert mixed_accuracy(curves, {}, 0.5) is None
    assert mixed_accuracy(curves, {7: 10}, 0.5) is None


def test_energy_is_computing_plus_the_share_times_sending() -> None:
    spent = expected_energy(totals(), 0.5)

    assert spent.compute_mj == {"modelled": 1.6}
    assert spent.radio_mj == {"modelled": 2.5}


def test_range_without_answers_has_no_expected_energy() -> None:
    spent = expected_energy(nothing(), 0.5)

    assert (spent.compute_mj, spent.radio_mj) == ({}, {})


def test_capacity_is_read_from_a_route() -> None:
    assert [capacity_of(route) for route in ("capacity-12", "cloud", "capacity-x")] == [
        12,
        None,
        None,
    ]
