import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nestling_cloud.learning.routing import Gains, RoutedInputs, certify, upper_bound


def judged(rng: np.random.Generator, count: int) -> RoutedInputs:
    """Draw inputs whose gain is the probability that the device differs from the cloud."""
    gain = rng.beta(0.5, 4, count).astype(np.float32)
    noise = rng.uniform(-0.02, 0.02, count).astype(np.float32)
    return RoutedInputs(
        gains=Gains(gate=gain + noise, accept=gain), agrees=rng.random(count) > gain
    )


def test_bound_by_hand() -> None:
    # With no error among n the bound is where (1 - p)^n = delta.
    assert upper_bound(0, 100, delta=0.1) == pytest.approx(1 - 0.1**0.01)
    assert upper_bound(0, 1, delta=0.1) == pytest.approx(0.9)


@pytest.mark.parametrize("count", [0, 1, 50])
def test_bound_is_one_where_all_inputs_are_errors(count: int) -> None:
    assert upper_bound(count, count, delta=0.1) == 1.0


@given(st.integers(1, 500), st.data())
def test_bound_is_above_the_observed_rate_and_rises_with_errors(
    count: int, data: st.DataObject
) -> None:
    errors = data.draw(st.integers(0, count - 1))

    bound = upper_bound(errors, count, delta=0.1)

    assert errors / count < bound <= upper_bound(errors + 1, count, delta=0.1)


def test_rate_exceeds_the_bound_no_more_often_than_delta() -> None:
    rng, rate = np.random.default_rng(0), 0.03

    found = [upper_bound(int(rng.binomial(400, rate)), 400, delta=0.1) for _ in range(3000)]

    assert np.mean(np.array(found) < rate) < 0.1 + 3 * np.sqrt(0.1 * 0.9 / 3000)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.02, 0.05, 0.1]))
def test_certified_point_has_the_numbers_of_its_thresholds(seed: int, risk: float) -> None:
    rng = np.random.default_rng(seed)
    fitted, held_out = judged(rng, 1500), judged(rng, 1000)

    point = certify(fitted, held_out, risk=risk)

    if point is not None:
        (kept,), _ = held_out.outcomes([(point.gate_threshold, point.accept_threshold)])
        assert point.kept == kept.sum()
        assert point.offload_share == pytest.approx(1 - kept.mean())
        assert point.bound == upper_bound(
            int((kept & ~held_out.agrees).sum()), int(kept.sum()), delta=point.delta
        )
        assert point.bound <= risk


def test_guarantees_are_broken_no_more_often_than_delta() -> None:
    rng, risk, delta = np.random.default_rng(0), 0.05, 0.1
    fitted, everything = judged(rng, 1500), judged(rng, 200_000)

    broken = []
    for _ in range(300):
        point = certify(fitted, judged(rng, 800), risk=risk, delta=delta)
        if point is None:  # without a guarantee, none is broken
            broken.append(False)
            continue
        (kept,), _ = everything.outcomes([(point.gate_threshold, point.accept_threshold)])
        broken.append((~everything.agrees[kept]).mean() > risk)

    assert np.mean(broken) < delta + 3 * np.sqrt(delta * (1 - delta) / 300)


def test_guarantee_keeps_most_inputs_that_it_could_keep() -> None:
    rng = np.random.default_rng(0)
    fitted, held_out = judged(rng, 1500), judged(rng, 2000)

    point = certify(fitted, held_out, risk=0.05)

    # With perfect knowledge, inputs may stay while the mean of their gains is below the risk.
    gain = np.sort(held_out.gains.accept)
    could_stay = np.cumsum(gain) / np.arange(1, 2001) <= 0.05
    assert point is not None
    assert point.kept > 0.75 * could_stay.sum()


def test_nothing_is_guaranteed_where_device_and_cloud_differ_at_random() -> None:
    rng = np.random.default_rng(0)
    gains = Gains(
        gate=rng.random(500).astype(np.float32), accept=rng.random(500).astype(np.float32)
    )
    at_odds = RoutedInputs(gains=gains, agrees=rng.random(500) < 0.5)

    assert certify(at_odds, at_odds, risk=0.1) is None
