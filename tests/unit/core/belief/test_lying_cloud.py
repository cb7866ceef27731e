"""A cloud that lies moves the belief only so far."""

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


@settings(deadline=None)
@given(FILTERS, _seeds)
def test_one_answer_moves_the_odds_of_two_classes_by_at_most_the_largest_step(
    given_filter: Filter, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    belief = after(given_filter, *calibrated(rng.normal(size=(3, CLASSES)), rng.random(3)))
    largest = belief_filter.largest_step(given_filter.doubt, CLASSES)
    liar, other = 2, 1

    lied = confirmed(given_filter, belief, liar)
    less = belief_filter.after_answer(given_filter, belief, softmax(rng.normal(size=CLASSES)))

    def odds(belief: Belief) -> Doubles:
        probabilities = belief_filter.probabilities(belief)
        return probabilities[:, None] / probabilities

    step = odds(lied) / odds(belief)
    assert step[liar, other] == pytest.approx(largest)
    assert step.max() <= largest * (1 + 1e-9)
    assert (odds(less) / odds(belief)).max() <= largest * (1 + 1e-9)


def most_told(parameters: Filter, classes: int) -> float:
    """Return the bound on the odds of two classes that any number of answers can build up.

    Before an answer, the class has stayed with odds of at most stay / (1 - stay), times the
    likelihood of two equal outputs. Fading leaves 1 / C of the rest to every class. One more answer
    adds the largest step.
    """
    alike = parameters.persistence * classes + 1 - parameters.persistence
    stayed = parameters.stay / (1 - parameters.stay) * alike
    return (1 + classes * stayed) * belief_filter.largest_step(parameters.doubt, classes)


@settings(deadline=None)
@given(FILTERS, _seeds)
def test_repeated_lies_stay_within_a_bound(given_filter: Filter, seed: int) -> None:
    rng = np.random.default_rng(seed)
    belief = belief_filter.unknown(CLASSES)
    for _ in range(60):
        evidence = (one_hot(0), seen(0, rng.random()))[rng.integers(2)]
        belief = after(given_filter, evidence, start=belief)
        belief = confirmed(given_filter, belief, 1)

    assert belief.told[1] / belief.told.min() <= most_told(given_filter, CLASSES) * (1 + 1e-9)


def test_bound_on_repeated_lies_is_nearly_reached() -> None:
    belief = belief_filter.unknown(CLASSES)
    for _ in range(60):
        belief = after(FILTER, one_hot(0), start=belief)
        belief = confirmed(FILTER, belief, 1)

    assert belief.told[1] / belief.told[0] > 0.9 * most_told(FILTER, CLASSES)


def test_lies_lose_their_hold_when_the_class_changes() -> None:
    belief = belief_filter.unknown(CLASSES)
    for _ in range(100):
        belief = after(FILTER, seen(0, 0.9), start=belief)
        belief = confirmed(FILTER, belief, 1)

    honest = after(FILTER, *[seen(2, 0.9)] * 3, start=belief)

    assert believed(belief, 1) > 0.9
    assert belief_filter.probabilities(honest).argmax() == 2
