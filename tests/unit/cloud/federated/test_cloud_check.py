"""Clients find out whether the cloud is worse than they are, and the release follows from it."""

import pytest

from nestling.v1.bundle_pb2 import (
    Calibration,
    Cascade,
    GuaranteePlan,
    RoutingCurve,
    StreamFilter,
)
from nestling_cloud.federated.cloud_check import client_accuracy, with_clients
from nestling_cloud.federated.update_checks import HeldOutComparison

CURVE = RoutingCurve(filter=StreamFilter(stay=0.9), guarantee=GuaranteePlan(inputs=40))
CALIBRATION = Calibration(
    curves=[CURVE, CURVE], cascades=[Cascade(), Cascade(start=1, curve=CURVE)], inputs=40
)


def client(device: float, cloud: float, asked: int = 50) -> HeldOutComparison:
    return HeldOutComparison(held_out=60, before=0.1, after=device, cloud_asked=asked, cloud=cloud)


def test_accuracies_are_means_over_the_clients_that_asked() -> None:
    found = client_accuracy([client(0.8, 0.6), client(0.9, 0.8, asked=10), client(0.1, 0, asked=0)])

    assert found is not None
    assert (found.clients, found.inputs) == (2, 60)
    assert (found.device, found.cloud) == pytest.approx((0.85, 0.7))


def test_without_a_client_that_asked_nothing_is_known() -> None:
    assert client_accuracy([]) is None
    assert client_accuracy([client(0.9, 0.0, asked=0)]) is None
    assert with_clients(CALIBRATION, None) == CALIBRATION


@pytest.mark.parametrize(
    ("differences", "worse"),
    [
        ((-0.2, -0.1, -0.15), True),
        ((-0.3, 0.1, -0.1), False),  # the mean is within its error
        ((0.1, 0.2, 0.1), False),
        ((-0.02, -0.02, -0.02), False),  # within the error of drawing 50 inputs
        ((-0.2, -0.2, -0.2), True),
        ((0.0, 0.0, 0.0), False),
        ((-0.4, -0.4), False),  # two clients may be exceptions
    ],
)
def test_cloud_counts_as_worse_with_confidence_over_clients(
    differences: tuple[float, ...], *, worse: bool
) -> None:
    found = client_accuracy([client(0.5, 0.5 + difference) for difference in differences])

    assert found is not None
    assert found.cloud_is_worse is worse


def test_nothing_is_sent_to_a_cloud_that_is_worse_and_the_largest_capacity_answers() -> None:
    found = client_accuracy([client(0.8, 0.6), client(0.8, 0.61), client(0.9, 0.6)])
    assert found is not None

    made = with_clients(CALIBRATION, found)

    assert [curve.useful_share for curve in made.curves] == [0, 0]
    assert all(curve.HasField("useful_share") for curve in made.curves)
    assert not any(curve.HasField("filter") for curve in made.curves)
    assert not any(curve.HasField("guarantee") for curve in made.curves)
    assert list(made.cascades) == [Cascade(), Cascade()]
    assert made.clients == found
    assert made.inputs == 40
    assert CALIBRATION.curves[0].HasField("filter")  # the original is unchanged


def test_cloud_that_is_better_is_reported_and_changes_nothing_else() -> None:
    found = client_accuracy([client(0.6, 0.8), client(0.6, 0.81)])
    assert found is not None

    made = with_clients(CALIBRATION, found)

    assert made.clients == found
    made.ClearField("clients")
    assert made == CALIBRATION
