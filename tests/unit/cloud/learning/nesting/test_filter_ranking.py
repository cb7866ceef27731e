import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling_cloud.learning.nesting.filter_ranking import (
    RankingError,
    best_first,
    draw_triplets,
    filter_worths,
    normalized,
    triplet_residuals,
)


def test_residual_is_the_sum_of_negative_minus_positive_distances() -> None:
    responses = np.array([[0, 0], [1, 0], [3, 1], [-1, 2]], np.float32)
    triplets = np.array([[0, 1, 2], [1, 0, 3]])

    # Filter 0: (9 - 1) + (4 - 1); filter 1: (1 - 0) + (4 - 0).
    assert triplet_residuals(responses, triplets).tolist() == [11, 5]


def test_filter_that_separates_classes_ranks_before_noise_of_any_scale() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(2), 50)
    noise = rng.normal(size=(100, 2)) * [1, 50]
    responses = np.column_stack([noise, labels]).astype(np.float32)

    triplets = draw_triplets(labels, 300, rng)

    assert best_first(triplet_residuals(normalized(responses), triplets))[0] == 2


def test_dead_filter_has_no_residual_and_is_worth_least() -> None:
    responses = np.full((4, 2), 7, np.float32)
    responses[0] = 7.00001, 8  # a difference of rounding is not a response

    triplets = np.array([[0, 1, 2], [1, 2, 0]])

    assert triplet_residuals(normalized(responses), triplets)[0] == 0
    assert filter_worths(responses, triplets)[0] == -np.inf
    assert np.isfinite(filter_worths(responses, triplets)[1])


@given(
    labels=st.lists(st.integers(0, 3), min_size=3, max_size=20).filter(
        lambda labels: len(set(labels)) > 1 and len(set(labels)) < len(labels)
    ),
    seed=st.integers(0, 5),
)
def test_triplets_are_two_of_a_class_and_one_of_another(labels: list[int], seed: int) -> None:
    known = np.array(labels, np.int64)

    triplets = draw_triplets(known, 20, np.random.default_rng(seed))

    anchor, positive, negative = triplets.T
    assert (anchor != positive).all()
    assert (known[anchor] == known[positive]).all()
    assert (known[anchor] != known[negative]).all()


def test_same_seed_draws_the_same_triplets() -> None:
    labels = np.array([0, 0, 1, 1, 2])
    first, again, other = (draw_triplets(labels, 9, np.random.default_rng(s)) for s in (0, 0, 1))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_labels_that_make_no_triplet_are_refused(labels: list[int]) -> None:
    with pytest.raises(RankingError, match="triplets need two classes"):
        draw_triplets(np.array(labels, np.int64), 4, np.random.default_rng(0))


def test_equal_residuals_keep_their_order() -> None:
    assert best_first(np.array([1.0, 3.0, 1.0, 3.0])) == [1, 3, 0, 2]
