"""The cloud's answers teach a device how far its confidence can be trusted."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nestling_core.belief.reliability import (
    LIMIT,
    Prediction,
    Reliability,
    after_cloud_answer,
    as_calibrated,
    corrected,
)

CLASSES = 4
SURE = Prediction(1, 0.8)

_probabilities = st.floats(0, 1)
_predictions = st.builds(Prediction, st.integers(0, CLASSES - 1), _probabilities)
_answers = st.tuples(_predictions, st.booleans(), _probabilities)


def told(
    prediction: Prediction, *agreements: bool, right: float = 0.9, start: Reliability | None = None
) -> Reliability:
    found = as_calibrated(CLASSES) if start is None else start
    for agrees in agreements:
        found = after(found, prediction, agrees=agrees, right=right)
    return found


def after(found: Reliability, prediction: Prediction, *, agrees: bool, right: float) -> Reliability:
    return after_cloud_answer(
        found, prediction, agrees=agrees, cloud_right=right, alternatives=CLASSES - 1
    )


@given(_predictions)
def test_without_answers_the_confidence_is_the_bundles(prediction: Prediction) -> None:
    assert corrected(as_calibrated(CLASSES), prediction) == prediction.confidence


@given(st.floats(0.01, 0.99), st.floats(0.5, 1))
def test_agreement_raises_the_confidence_and_contradiction_lowers_it(
    confidence: float, right: float
) -> None:
    prediction = Prediction(1, confidence)

    raised = corrected(told(prediction, True, right=right), prediction)
    lowered = corrected(told(prediction, False, right=right), prediction)

    assert lowered < confidence < raised


def test_confidence_settles_where_it_is_right_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    found = as_calibrated(CLASSES)
    for agrees in rng.random(3000) < 0.6:  # the device is right on 60%, and says 80%
        found = told(SURE, bool(agrees), right=1.0, start=found)

    assert corrected(found, SURE) == pytest.approx(0.6, abs=0.05)


def test_answers_apply_to_the_class_and_to_the_range_of_confidence() -> None:
    found = told(SURE, *[False] * 10)

    changes = {
        where: confidence - corrected(found, Prediction(answer, confidence))
        for where, answer, confidence in (
            ("both", 1, 0.8),
            ("class", 1, 0.6),
            ("range", 2, 0.8),
            ("neither", 2, 0.6),
        )
    }

    assert changes["both"] > max(changes["class"], changes["range"])
    assert min(changes["class"], changes["range"]) > 0.02
    assert changes["neither"] == 0


def test_answer_counts_less_the_less_reliable_the_cloud_is() -> None:
    falls = [0.8 - corrected(told(SURE, False, right=right), SURE) for right in (1.0, 0.8, 0.5)]

    assert falls == sorted(falls, reverse=True)
    assert falls[0] > falls[2] + 0.02


@settings(deadline=None)
@given(_predictions, st.lists(st.booleans(), min_size=1, max_size=50))
def test_cloud_that_answers_at_random_teaches_nothing(
    prediction: Prediction, agreements: list[bool]
) -> None:
    before = as_calibrated(CLASSES)

    found = told(prediction, *agreements, right=1 / CLASSES)

    assert found.mean == pytest.approx(before.mean)
    assert found.variance == pytest.approx(before.variance)


@settings(deadline=None)
@given(st.lists(_answers, max_size=60))
def test_offsets_stay_bounded_and_become_surer(
    answers: list[tuple[Prediction, bool, float]],
) -> None:
    found = as_calibrated(CLASSES)
    for prediction, agrees, right in answers:
        before, found = found, after(found, prediction, agrees=agrees, right=right)
        assert np.isfinite(found.mean).all()
        assert (np.abs(found.mean) <= LIMIT).all()
        assert (found.variance > 0).all()
        assert (found.variance <= before.variance).all()
        assert 0 <= corrected(found, prediction) <= 1


def test_each_answer_of_a_useful_cloud_makes_the_two_offsets_surer() -> None:
    before, found = as_calibrated(CLASSES), told(SURE, True)

    changed = found.variance != before.variance
    assert changed.sum() == 2
    assert (found.variance[changed] < before.variance[changed]).all()


def test_endless_contradiction_stops_at_the_limit() -> None:
    found = told(SURE, *[False] * 20_000, right=1.0)

    assert found.mean.min() >= -LIMIT
    assert corrected(found, SURE) < 0.1
    assert corrected(found, Prediction(2, 0.6)) == 0.6  # another class, in another range


@pytest.mark.parametrize("confidence", [0.0, 1.0])
@pytest.mark.parametrize("right", [0.0, 0.25, 1.0])
def test_certainty_keeps_everything_finite(confidence: float, right: float) -> None:
    prediction = Prediction(0, confidence)

    found = told(prediction, *[True, False] * 20, right=right)

    assert np.isfinite(np.concatenate(found)).all()
    assert corrected(found, prediction) == pytest.approx(confidence, abs=1e-4)


def test_order_of_answers_hardly_matters() -> None:
    other = Prediction(1, 0.6)
    events = [(SURE, True), (SURE, False), (other, True), (other, False)]

    results = []
    for order in itertools.permutations(events):
        found = as_calibrated(CLASSES)
        for prediction, agrees in order:
            found = after(found, prediction, agrees=agrees, right=0.9)
        results.append([corrected(found, SURE), corrected(found, other)])

    assert np.ptp(results, axis=0).max() < 0.03


def test_account_does_not_grow_with_the_answers() -> None:
    assert [len(part) for part in told(SURE, *[True] * 100)] == [CLASSES + 5] * 2


def test_earlier_account_is_left_alone() -> None:
    before = as_calibrated(CLASSES)

    told(SURE, True, False, start=before)

    assert np.array_equal(np.concatenate(before), np.concatenate(as_calibrated(CLASSES)))
