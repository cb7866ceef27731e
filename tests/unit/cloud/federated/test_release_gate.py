import pytest

from nestling_cloud.federated.release_gate import Margins, judge
from nestling_cloud.federated.update_checks import HeldOutComparison

MARGINS = Margins(calibration=0.05, clients=0.02)
BEFORE = (0.7, 0.8)


def client(before: float, after: float, held_out: int = 10) -> HeldOutComparison:
    return HeldOutComparison(held_out=held_out, before=before, after=after)


def test_candidate_better_for_clients_and_equal_on_calibration_data_is_released() -> None:
    verdict = judge(BEFORE, (0.7, 0.79), [client(0.5, 0.8), client(0.5, 0.6)], MARGINS)

    assert verdict.release
    assert "clients 50.0 % to 70.0 %, the median client +20.0 points" in verdict.reason


@pytest.mark.parametrize(("loss", "released"), [(0.04, True), (0.06, False)])
def test_loss_on_the_calibration_data_is_compared_with_its_margin(
    loss: float, *, released: bool
) -> None:
    after = [accuracy - loss for accuracy in BEFORE]

    verdict = judge(BEFORE, after, [client(0.5, 0.9)], MARGINS)

    assert released == verdict.release
    if not released:
        assert "lose 6.0 points on the calibration data, where 5 are allowed" in verdict.reason


@pytest.mark.parametrize(("loss", "released"), [(0.01, True), (0.03, False)])
def test_loss_of_the_median_client_is_compared_with_its_margin(
    loss: float, *, released: bool
) -> None:
    verdict = judge(BEFORE, BEFORE, [client(0.5, 0.5 - loss)], MARGINS)

    assert released == verdict.release
    if not released:
        assert "the median client loses 3.0 points, where 2 are allowed" in verdict.reason


def test_one_dishonest_client_does_not_decide() -> None:
    honest = [client(0.8, 0.5), client(0.8, 0.6)]

    verdict = judge(BEFORE, BEFORE, [*honest, client(0.0, 1.0, held_out=1_000_000)], MARGINS)

    assert not verdict.release


def test_candidate_that_no_client_has_compared_is_not_released() -> None:
    verdict = judge(BEFORE, BEFORE, [client(0.0, 0.0, held_out=0)], MARGINS)

    assert not verdict.release
    assert "no client reported" in verdict.reason
