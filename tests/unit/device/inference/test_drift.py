import math
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling_device.inference.drift import ENOUGH, SLACK, DriftDetector, rank_of

EVEN = (0.2, 0.4, 0.6, 0.8, 1.0)


@pytest.mark.parametrize(
    ("right", "quantiles", "rank"),
    [
        (1.0, EVEN, 0.0),
        (0.2, EVEN, 1.0),
        (0.0, EVEN, 1.0),
        (0.6, EVEN, 0.5),
        (0.5, EVEN, 0.625),
        (0.9, (0.9, 0.9, 0.9), 0.5),
        (0.9, (0.1, 0.9, 0.9), 0.25),
        (0.95, (0.9, 0.9, 0.9), 0.0),
        (0.85, (0.9, 0.9, 0.9), 1.0),
        (1 - 6e-8, (0.5, 1.0, 1.0), 0.25),
        (0.5 + 6e-8, (0.5, 0.5, 1.0), 0.75),
    ],
)
def test_rank_of_computed_by_hand(right: float, quantiles: tuple[float, ...], rank: float) -> None:
    assert rank_of(right, quantiles) == pytest.approx(rank)


def test_mean_rank_of_the_calibration_inputs_is_one_half() -> None:
    predicted = np.random.default_rng(0).beta(5, 1, 2000)
    quantiles = np.quantile(predicted, np.linspace(0, 1, 33)).tolist()

    ranks = [rank_of(right, quantiles) for right in predicted]

    assert np.mean(ranks) == pytest.approx(0.5, abs=0.005)


def after(drift: DriftDetector, ranks: Iterable[float]) -> list[DriftDetector]:
    found = []
    for rank in ranks:
        drift = drift.after_input(rank)
        found.append(drift)
    return found


def test_evidence_computed_by_hand() -> None:
    one, two, three = after(DriftDetector(), [1.0, 0.6, 0.0])

    assert one.evidence == pytest.approx(math.log(1.4))
    assert two.evidence == pytest.approx(one.evidence)  # a rank of 1/2 + SLACK is no evidence
    assert three.evidence == 0


def test_no_alarm_on_inputs_like_the_calibration_inputs() -> None:
    for seed in range(5):
        ranks = np.random.default_rng(seed).uniform(0, 1, 20_000)
        assert not any(drift.noticed for drift in after(DriftDetector(), ranks))


def test_false_alarms_are_rare_on_inputs_as_hard_as_the_slack_allows() -> None:
    rng = np.random.default_rng(0)
    streams = [rng.choice([0.2, 1.0], 1000) for _ in range(100)]
    assert np.mean(streams) == pytest.approx(0.5 + SLACK, abs=0.005)

    alarms = [any(drift.noticed for drift in after(DriftDetector(), ranks)) for ranks in streams]

    # A false alarm takes 10,000 inputs or more on average; with ENOUGH = 1,000 there would be 6.
    assert sum(alarms) <= 2


def test_start_and_end_of_drift_are_noticed() -> None:
    rng = np.random.default_rng(0)
    usual, harder = rng.uniform(0, 1, 3000), rng.uniform(0.5, 1, 300)

    before = after(DriftDetector(), usual)
    during = after(before[-1], harder)
    afterwards = after(during[-1], usual[:300])

    noticed = [drift.noticed for drift in during]
    assert 10 < noticed.index(True) < 150
    assert all(noticed[noticed.index(True) :])
    assert not afterwards[-1].noticed
    assert not any(drift.noticed for drift in after(DriftDetector(), rng.uniform(0, 0.5, 3000)))


@given(st.lists(st.floats(0, 1), max_size=200))
def test_evidence_stays_within_its_bounds(ranks: list[float]) -> None:
    for drift in after(DriftDetector(), ranks):
        assert 0 <= drift.evidence <= math.log(ENOUGH)
        assert not drift.noticed or drift.evidence > 0
