"""Compare the mean over nested widths with a loop over every coordinate."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling_cloud.federated.aggregation import Update, aggregate

SHAPES = {"layers.0.weight": (3, 2), "head": (2, 3), "layers.0.capacities.1.offset": (3,)}


def whole() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


def update(node: int, examples: int, arrays: dict[str, np.ndarray]) -> Update:
    return Update(node=node, capacity=1, examples=examples, arrays=arrays)


@st.composite
def updates(draw: st.DrawFn) -> list[Update]:
    drawn = []
    for node in range(draw(st.integers(0, 4))):
        arrays = {}
        for name, shape in SHAPES.items():
            if draw(st.booleans()):
                box = tuple(draw(st.integers(0, length)) for length in shape)
                seed = draw(st.integers(0, 1000))
                arrays[name] = np.random.default_rng(seed).normal(size=box).astype(np.float32)
        drawn.append(update(node, draw(st.integers(1, 10_000)), arrays))
    return drawn


def by_hand(name: str, index: tuple[int, ...], given_updates: Sequence[Update]) -> float | None:
    total, weight = 0.0, 0
    for update in given_updates:
        array = update.arrays.get(name)
        if array is not None and all(i < n for i, n in zip(index, array.shape, strict=True)):
            total += float(array[index]) * update.examples
            weight += update.examples
    return total / weight if weight else None


@given(updates())
def test_every_coordinate_is_the_mean_over_the_clients_that_hold_it(
    given_updates: list[Update],
) -> None:
    before = whole()

    after = aggregate(before, given_updates)

    for name, shape in SHAPES.items():
        for index in np.ndindex(*shape):
            expected = by_hand(name, index, given_updates)
            if expected is None:
                assert after[name][index] == before[name][index]
            else:
                assert after[name][index] == pytest.approx(expected, rel=1e-5, abs=1e-6)


@given(updates())
def test_order_of_updates_does_not_matter(given_updates: list[Update]) -> None:
    one = aggregate(whole(), given_updates)
    other = aggregate(whole(), list(reversed(given_updates)))

    assert all(np.array_equal(one[name], other[name]) for name in SHAPES)


def test_normalization_of_a_capacity_averages_over_the_clients_that_trained_it() -> None:
    name = "layers.0.capacities.1.offset"
    offsets = {name: np.full(3, 5, np.float32)}
    small = {"head": np.ones((2, 1), np.float32)}

    after = aggregate(whole(), [update(1, 100, offsets), update(2, 900, small)])

    assert np.array_equal(
        after["layers.0.capacities.1.offset"], offsets["layers.0.capacities.1.offset"]
    )


def test_initial_model_is_not_changed() -> None:
    before = whole()
    copies = {name: array.copy() for name, array in before.items()}

    aggregate(before, [update(1, 3, {"head": np.ones((2, 2), np.float32)})])

    assert all(np.array_equal(before[name], copies[name]) for name in SHAPES)
