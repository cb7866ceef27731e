"""A filter carries the belief over the classes from one input of a stream to the next."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nestling_core.belief import belief_filter
from nestling_core.belief.belief_filter import Belief
from nestling_core.belief.evidence import calibrated, softmax
from tests.support.stream_filter import (
    CLASSES,
    FILTER,
    FILTERS,
    Doubles,
    Filter,
    after,
    believed,
    confirmed,
    one_hot,
    seen,
)

_seeds = st.integers(0, 2**32 - 1)


def is_distribution(probabilities: Doubles) -> bool:
    return bool((probabilities >= 0).all()) and probabilities.sum() == pytest.approx(1)


@settings(deadline=None)
@given(FILTERS, _seeds)
def test_without_persistence_the_answer_is_the_capacitys(given_filter: Filter, seed: int) -> None:
    rng = np.random.default_rng(seed)
    independent = dataclasses.replace(given_filter, stay=0.0)
    belief = belief_filter.unknown(independent, CLASSES)
    for _ in range(10):
        logits = rng.normal(size=CLASSES) * 10 ** rng.uniform(-3, 3)
        belief = after(independent, calibrated(logits, np.array(rng.random())), start=belief)
        assert belief_filter.probabilities(belief).argmax() == logits.argmax()
        belief = belief_filter.after_answer(independent, belief, softmax(rng.normal(size=CLASSES)))


@given(_seeds)
def test_confidence_is_the_capacitys_without_persistence_tempering_and_misreading(
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    independent = Filter(stay=0.0, misread=0.0, weight=1.0)
    evidence = calibrated(rng.normal(size=(10, CLASSES)), rng.uniform(0.5, 1, 10))

    belief = after(independent, *evidence)

    assert belief_filter.probabilities(belief) == pytest.approx(evidence[-1])


@settings(deadline=None)
@given(FILTERS, _seeds)
def test_belief_stays_a_distribution_for_any_stream(given_filter: Filter, seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 12))
    belief = belief_filter.unknown(given_filter, classes)
    for _ in range(20):
        place = int(rng.integers(classes))
        logits = rng.normal(size=classes) * 10 ** rng.uniform(-30, 30)
        evidence = (one_hot(place, classes), calibrated(logits, np.array(rng.random())))[
            rng.integers(2)
        ]
        answer = (one_hot(place, classes), softmax(logits))[rng.integers(2)]
        match rng.integers(3):
            case 0:
                belief = belief_filter.without_run(given_filter, belief)
            case 1:
                belief = after(given_filter, evidence, start=belief)
            case 2:
                belief = after(given_filter, evidence, start=belief)
                belief = belief_filter.after_answer(given_filter, belief, answer)
        assert is_distribution(belief)
        assert is_distribution(belief_filter.probabilities(belief))


@pytest.mark.parametrize("reread", [0.0, 0.1, 0.9])
def test_evidence_with_zeros_does_not_silence_the_other_classes(reread: float) -> None:
    certain = dataclasses.replace(FILTER, reread=reread, misread=0.05)

    belief = after(certain, *[one_hot(0)] * 50, one_hot(1), one_hot(1))

    assert belief_filter.probabilities(belief).argmax() == 1


@settings(deadline=None)
@given(FILTERS, _seeds)
def test_streams_are_filtered_alike_alone_and_together(given_filter: Filter, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape, classes = (3, 2), 7
    evidence = calibrated(rng.normal(size=(5, *shape, classes)), rng.random((5, *shape)))
    answers = softmax(rng.normal(size=(5, *shape, classes)))

    def play(evidence: Doubles, answers: Doubles, *streams: int) -> list[Belief]:
        belief, beliefs = belief_filter.unknown(given_filter, classes, *streams), []
        for one, answer in zip(evidence, answers, strict=True):
            belief = belief_filter.after_run(given_filter, belief, one)
            beliefs.append(belief)
            belief = belief_filter.after_answer(given_filter, belief, answer)
            beliefs.append(belief)
            belief = belief_filter.without_run(given_filter, belief)
        return beliefs

    together = play(evidence, answers, *shape)
    for place in np.ndindex(*shape):
        chosen = (slice(None), *place)
        for one, all_of_them in zip(play(evidence[chosen], answers[chosen]), together, strict=True):
            assert np.array_equal(one, all_of_them[place])
            assert np.array_equal(
                belief_filter.probabilities(one), belief_filter.probabilities(all_of_them)[place]
            )


def test_neighbors_that_agree_make_the_belief_surer() -> None:
    beliefs = [believed(after(FILTER, *[seen(0, 0.6)] * count), 0) for count in (1, 2, 5)]

    assert beliefs == sorted(beliefs)
    assert beliefs[2] > beliefs[0] + 0.05


@given(FILTERS, st.floats(0.3, 1))
def test_second_of_two_identical_inputs_never_weakens_the_answer(
    given_filter: Filter, right: float
) -> None:
    once = after(given_filter, seen(2, right))
    twice = after(given_filter, seen(2, right), start=once)

    assert believed(twice, 2) >= believed(once, 2) - 1e-12


def test_output_is_tempered_by_the_weight() -> None:
    evidence = seen(0, 0.9)

    tempered = belief_filter.probabilities(after(Filter(stay=0.0, misread=0.0), evidence))

    assert tempered[0] / tempered[1] == pytest.approx((evidence[0] / evidence[1]) ** 0.5)


def test_order_matters_only_between_inputs_that_differ() -> None:
    first, other = seen(0, 0.9), seen(1, 0.9)

    ends_on_other, ends_on_first = after(FILTER, first, other), after(FILTER, other, first)

    same = after(FILTER, first.copy(), first)
    assert np.array_equal(same, after(FILTER, first, first.copy()))
    assert believed(ends_on_other, 1) == pytest.approx(believed(ends_on_first, 0))
    assert believed(ends_on_other, 1) > believed(ends_on_other, 0) + 0.03


def test_larger_capacity_replaces_the_evidence_of_the_smaller_one() -> None:
    before = after(FILTER, seen(0, 0.6))

    small = after(FILTER, seen(1, 0.9), start=before)
    large = after(FILTER, seen(0, 0.7), start=before)

    assert believed(small, 1) > believed(small, 0)
    assert believed(large, 0) > believed(before, 0)


def test_cloud_answer_is_remembered_while_the_class_stays_and_outputs_are_forgotten() -> None:
    unsure = seen(0, 0.4)
    told = confirmed(FILTER, after(FILTER, unsure), 1)
    read = after(FILTER, seen(1, 0.95))

    asked, seen_only = (after(FILTER, *[unsure] * 4, start=start) for start in (told, read))

    assert believed(asked, 1) > 0.5
    assert believed(seen_only, 1) < believed(asked, 1) - 0.1


def test_belief_fades_to_ignorance_while_nothing_runs() -> None:
    belief = confirmed(FILTER, after(FILTER, seen(1, 0.9)), 1)
    sure = []
    for _ in range(200):
        sure.append(believed(belief, 1))
        belief = belief_filter.without_run(FILTER, belief)

    assert sure == sorted(sure, reverse=True)
    assert sure[1] > 0.8
    assert sure[-1] == pytest.approx(1 / CLASSES)


def inputs_until_noticed(parameters: Filter, right: float) -> int:
    """Return how many inputs of another class it takes until this class is answered."""
    belief = belief_filter.after_answer(
        parameters, after(parameters, *[seen(0, 0.8)] * 20), one_hot(0)
    )
    for count in range(1, 100):
        belief = after(parameters, seen(1, right), start=belief)
        if belief_filter.probabilities(belief).argmax() == 1:
            return count
    return 100


def test_change_of_class_is_noticed_the_sooner_the_surer_the_output() -> None:
    counts = [inputs_until_noticed(FILTER, right) for right in (0.99, 0.9, 0.6)]

    assert counts == sorted(counts)
    assert counts[0] <= 2
    assert counts[-1] <= 10


def corrected_stretch(parameters: Filter) -> Belief:
    """Return the belief after the student has read a stretch as class 0, and the cloud as 2."""
    belief = after(parameters, *[seen(0, 0.9)] * 5)
    for _ in range(2):
        belief = confirmed(parameters, after(parameters, seen(0, 0.9), start=belief), 2)
    return belief


def test_cloud_answer_is_doubted_when_the_student_reads_the_inputs_in_another_way() -> None:
    told = corrected_stretch(FILTER)

    same, changed = (after(FILTER, *[seen(place, 0.9)] * 3, start=told) for place in (0, 1))

    assert believed(same, 2) > believed(told, 2) - 0.3
    assert believed(changed, 2) < believed(same, 2) - 0.3


def test_another_reading_tells_less_of_a_change_the_more_often_it_happens_without_one() -> None:
    kept = []
    for reread in (0.02, 0.3, 0.8):
        fickle = dataclasses.replace(FILTER, reread=reread, weight=1.0)
        changed = after(fickle, seen(1, 0.9), start=corrected_stretch(fickle))
        kept.append(believed(changed, 2))

    assert kept == sorted(kept)
    assert kept[2] > kept[0] + 0.05


def test_outputs_make_certain_how_a_stretch_is_read_but_not_whether_it_is_misread() -> None:
    for misread in (0.05, 0.2, 0.4):
        doubtful = dataclasses.replace(FILTER, misread=misread, reread=0.0, stay=0.999)
        belief = after(doubtful, *[seen(0, 0.9)] * 100)

        assert belief[:, 0].sum() > 0.99
        assert believed(belief, 0) == pytest.approx(1 - misread, abs=0.03)
        assert believed(confirmed(doubtful, belief, 2), 2) > 0.5


def test_class_that_never_occurred_is_answered_as_soon_as_it_is_seen() -> None:
    long = after(FILTER, *[seen(0, 0.95)] * 1000)
    told = long
    for _ in range(1000):
        told = belief_filter.after_answer(
            FILTER, after(FILTER, seen(0, 0.95), start=told), one_hot(0)
        )

    for belief in (long, told):
        found = after(FILTER, *[seen(3, 0.9)] * 3, start=belief)
        assert belief_filter.probabilities(found).argmax() == 3
