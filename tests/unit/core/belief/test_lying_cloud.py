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


def most_believed(parameters: Filter, classes: int) -> float:
    """Return the bound on the odds that any number of lies can build up against the student.

    The class may have changed, to what the student reads, with a probability of at least (1 - stay)
    / C * (1 - misread), whatever the cloud has said before. One more answer adds the largest step.
    """
    least = (1 - parameters.stay) * (1 - parameters.misread) / classes
    return belief_filter.largest_step(parameters.doubt, classes) / least


def odds_after_lies(parameters: Filter, *evidence: Doubles) -> float:
    """Return the odds of the class that the cloud names, to the one that the student reads."""
    belief = belief_filter.unknown(parameters, CLASSES)
    for one in evidence:
        belief = confirmed(parameters, after(parameters, one, start=belief), 1)
    return believed(belief, 1) / believed(belief, 0)


@settings(deadline=None)
@given(FILTERS, st.lists(st.floats(0, 1), min_size=1, max_size=60), st.booleans())
def test_repeated_lies_stay_within_a_bound(
    given_filter: Filter,
    rights: list[float],
    certain: bool,
) -> None:
    evidence = [one_hot(0) if certain else seen(0, right) for right in rights]

    odds = odds_after_lies(given_filter, *evidence)

    assert odds <= most_believed(given_filter, CLASSES) * (1 + 1e-9)


def test_bound_on_repeated_lies_is_nearly_reached() -> None:
    assert odds_after_lies(FILTER, *[one_hot(0)] * 60) > 0.7 * most_believed(FILTER, CLASSES)


def test_lies_lose_their_hold_when_the_class_changes() -> None:
    belief = belief_filter.unknown(FILTER, CLASSES)
    for _ in range(100):
        belief = after(FILTER, seen(0, 0.9), start=belief)
        belief = confirmed(FILTER, belief, 1)

    honest = after(FILTER, *[seen(2, 0.9)] * 3, start=belief)

    assert believed(belief, 1) > 0.9
    assert belief_filter.probabilities(honest).argmax() == 2
