"""The mean over nested widths, against a loop over every coordinate."""

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
    made = []
    for node in range(draw(st.integers(0, 4))):
        arrays = {}
        for name, shape in SHAPES.items():
            if draw(st.booleans()):
                box = tuple(draw(st.integers(0, length)) for length in shape)
                seed = draw(st.integers(0, 1000))
                arrays[name] = np.random.default_rng(seed).normal(size=box).astype(np.float32)
        made.append(update(node, draw(st.integers(1, 10_000)), arrays))
    return made


def by_hand(name: str, index: tuple[int, ...], given_updates: Sequence[Update]) -> float | None:
    total, weight = 0.0, 0
    for one in given_updates:
        array = one.arrays.get(name)
        if array is not None and all(i < n for i, n in zip(index, array.shape, strict=True)):
            total += float(array[index]) * one.examples
            weight += one.examples
    return total / weight if weight else None


@given(updates())
def test_every_coordinate_is_the_mean_over_those_who_hold_it(given_updates: list[Update]) -> None:
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
def test_order_of_arrival_does_not_matter(given_updates: list[Update]) -> None:
    one = aggregate(whole(), given_updates)
    other = aggregate(whole(), list(reversed(given_updates)))

    assert all(np.array_equal(one[name], other[name]) for name in SHAPES)


def test_normalisation_of_a_capacity_averages_over_those_who_trained_it() -> None:
    name = "layers.0.capacities.1.offset"
    offsets = {name: np.full(3, 5, np.float32)}
    small = {"head": np.ones((2, 1), np.float32)}

    after = aggregate(whole(), [update(1, 100, offsets), update(2, 900, small)])

    assert np.array_equal(
        after["layers.0.capacities.1.offset"], offsets["layers.0.capacities.1.offset"]
    )


def test_model_that_the_round_began_with_is_not_changed() -> None:
    before = whole()
    copies = {name: array.copy() for name, array in before.items()}

    aggregate(before, [update(1, 3, {"head": np.ones((2, 2), np.float32)})])

    assert all(np.array_equal(before[name], copies[name]) for name in SHAPES)
