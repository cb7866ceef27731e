"""Tests of cutting and drawing recordings."""

import numpy as np
import pytest

from benchmarks.streams.recordings import (
    cut_into_quarters,
    draw_beginnings,
    draw_recordings,
    first_quarters,
)
from nestling_cloud.learning.routing import RoutingData

LENGTHS = [8, 3, 12, 5]


@pytest.fixture
def data() -> RoutingData:
    """Inputs whose label is the number of their recording, and whose value is their place in it."""
    places = np.concatenate([np.arange(length) for length in LENGTHS])
    logits = np.zeros((2, len(places), 4), np.float32)
    return RoutingData(
        inputs=places[:, None].astype(np.float32),
        logits=logits,
        cloud=logits[0],
        labels=np.repeat(np.arange(len(LENGTHS)), LENGTHS),
        lengths=LENGTHS,
    )


def parts(data: RoutingData) -> list[tuple[int, list[int]]]:
    """Return the label of each recording, and the places of its inputs."""
    ends = np.cumsum(data.lengths)[:-1]
    labels, places = (np.split(values, ends) for values in (data.labels, data.inputs[:, 0]))
    assert all(len(set(one.tolist())) == 1 for one in labels)
    return [(int(one[0]), where.tolist()) for one, where in zip(labels, places, strict=True)]


def test_quarters_keep_every_input_in_order(data: RoutingData) -> None:
    quarters = cut_into_quarters(data)

    assert quarters.labels.tolist() == data.labels.tolist()
    assert quarters.lengths == [2, 2, 2, 2, 1, 1, 1, 3, 3, 3, 3, 2, 1, 1, 1]


def test_first_quarters_are_the_beginnings(data: RoutingData) -> None:
    assert parts(first_quarters(data)) == [(0, [0, 1]), (1, [0]), (2, [0, 1, 2]), (3, [0])]


def test_drawn_recordings_are_whole_but_the_last(data: RoutingData) -> None:
    for seed in range(10):
        drawn = parts(draw_recordings(data, 14, np.random.default_rng(seed)))

        assert sum(len(places) for _, places in drawn) == 14
        assert len({label for label, _ in drawn}) == len(drawn)
        assert all(len(places) == LENGTHS[label] for label, places in drawn[:-1])
        assert all(places == list(range(len(places))) for _, places in drawn)


def test_drawing_more_inputs_than_there_are_returns_all(data: RoutingData) -> None:
    drawn = draw_recordings(data, 1000, np.random.default_rng(0))

    assert sorted(drawn.labels.tolist()) == data.labels.tolist()


def test_drawn_beginnings_are_no_longer_than_asked(data: RoutingData) -> None:
    drawn = parts(draw_beginnings(data, 9, 3, np.random.default_rng(0)))

    assert sum(len(places) for _, places in drawn) == 9
    assert all(places == [0.0, 1.0, 2.0] for _, places in drawn)
