import dataclasses

import numpy as np
import pytest

from nestling_cloud.learning.routing import (
    CascadeRule,
    RoutingData,
    at_once,
    fit_cascade,
    gains,
    of_answering_capacity,
    runs_larger,
)
from nestling_cloud.learning.routing.data import Floats

MACS = (100_000, 5_000_000)


def believed(first: list[tuple[float, float, float]]) -> Floats:
    """Return predictions after capacity 1; after capacity 2 both capacities have 0.1 more."""
    after = np.array(first, np.float32)
    return np.stack([after, after + np.array([0.1, 0.1, 0], np.float32)])


def one_half_hard(count: int, seed: int, knowledge: float = 1.0) -> tuple[Floats, RoutingData]:
    """Make predictions and data where capacity 1 is right on easy inputs only, capacity 2 on all.

    Args:
        count: number of inputs.
        seed: of the random numbers.
        knowledge: how well the predictions separate easy from hard inputs, 0 to 1.
    """
    rng = np.random.default_rng(seed)
    hard = rng.random(count) < 0.5
    labels = np.zeros(count, np.int64)
    first = np.stack([~hard, hard], axis=1).astype(np.float32)
    whole = np.tile(np.array([1, 0], np.float32), (count, 1))
    small = np.where(hard, 0.5 - 0.4 * knowledge, 0.5 + 0.4 * knowledge)
    after = np.stack([small, np.full(count, 0.9), np.full(count, 0.95)], axis=1)
    data = RoutingData(
        inputs=np.zeros((count, 1, 4), np.float32),
        logits=np.stack([first, whole]),
        cloud=whole,
        labels=labels,
    )
    return np.stack([after, after]).astype(np.float32), data


def test_cascade_gains_by_hand() -> None:
    seen = believed([(0.5, 0.9, 0.95), (0.7, 0.75, 0.8)])
    cascade = CascadeRule(start=1, top=2, threshold=0.2)

    found = gains(cascade, seen)

    assert runs_larger(cascade, seen).tolist() == [True, False]
    # Before capacity 2 runs, its success is predicted after capacity 1.
    assert found.gate == pytest.approx([0.05, 0.05])
    # The first input was answered by capacity 2, the second one by capacity 1.
    assert found.accept == pytest.approx([-0.05, 0.1])
    by_capacity = np.array([[True, False, True], [True, False, True]])
    assert of_answering_capacity(cascade, seen, by_capacity).tolist() == [False, True]


def test_direct_run_uses_only_one_capacity() -> None:
    seen = believed([(0.5, 0.9, 0.95), (0.7, 0.75, 0.8)])

    assert not runs_larger(at_once(2), seen).any()
    found = gains(at_once(1), seen)
    assert found.gate is None
    assert found.accept == pytest.approx([0.45, 0.1])
    by_capacity = np.array([[True, False, True], [True, False, True]])
    assert of_answering_capacity(at_once(2), seen, by_capacity).tolist() == [False, False]


def test_cascade_runs_the_large_capacity_for_the_hard_half() -> None:
    seen, data = one_half_hard(1000, 0)

    found = fit_cascade(seen, data, MACS, top=2)

    assert found.start == 1
    assert runs_larger(found, seen).mean() == pytest.approx(0.5, abs=0.05)
    assert of_answering_capacity(found, seen, data.right).all()


def test_large_capacity_runs_directly_where_hard_inputs_are_not_recognized() -> None:
    seen, data = one_half_hard(1000, 0, knowledge=0.0)

    assert fit_cascade(seen, data, MACS, top=2) == at_once(2)


def test_large_capacity_runs_directly_where_the_small_one_costs_as_much() -> None:
    seen, data = one_half_hard(1000, 0)

    assert fit_cascade(seen, data, (4_500_000, 5_000_000), top=2) == at_once(2)


def test_smallest_capacity_has_no_cascade() -> None:
    seen, data = one_half_hard(100, 0)

    assert fit_cascade(seen, data, MACS, top=1) == at_once(1)


def test_small_capacities_run_directly_because_of_the_cost_of_a_second_start() -> None:
    seen, data = one_half_hard(1000, 0)

    assert fit_cascade(seen, data, (1_000, 100_000), top=2) == at_once(2)


def test_tie_keeps_the_input_and_does_not_run_the_larger_capacity() -> None:
    known = np.array([[[0.5, 0.75, 1.0]], [[0.5, 0.75, 1.0]]], np.float32)  # exact in binary
    rule = CascadeRule(start=1, top=2, threshold=0.25)

    assert not runs_larger(rule, known).any()
    found = gains(rule, known)
    assert found.gate is not None
    assert (found.gate.tolist(), found.accept.tolist()) == ([0.25], [0.5])
    assert not found.sent(0.25, 0.5).any()
    assert found.sent(np.nextafter(0.25, 0), 0.5).all()
    assert found.sent(0.25, np.nextafter(0.5, 0)).all()


def test_larger_capacity_runs_directly_where_it_is_uncertain_which_one_is_better() -> None:
    rng = np.random.default_rng(0)
    right = rng.random((2, 200)) < 0.8
    right[0, : right[1].sum()] = True  # as often right as the larger one, on other inputs
    right[0, right[1].sum() :] = False
    data = RoutingData(
        inputs=np.zeros((200, 1, 1), np.float32),
        logits=4 * np.eye(2, dtype=np.float32)[(~right).astype(np.intp)],
        cloud=np.tile(np.array([4, 0], np.float32), (200, 1)),
        labels=np.zeros(200, np.int64),
    )
    unsure = np.full((2, 200, 3), 0.8, np.float32)

    assert fit_cascade(unsure, data, (1, 1_000_000), top=2) == at_once(2)
    certain = dataclasses.replace(data, logits=data.logits[[1, 1]])
    assert fit_cascade(unsure, certain, (1, 1_000_000), top=2).start == 1
