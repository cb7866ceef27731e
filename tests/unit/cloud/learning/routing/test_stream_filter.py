"""A filter is fitted where neighboring inputs share their class, and only there."""

import dataclasses

import numpy as np
import pytest

from nestling.v1.bundle_pb2 import Calibration, StreamFilter
from nestling_cloud.learning.routing import Design, RoutingData, at_once, beliefs, fit_multiplexer
from nestling_cloud.learning.routing.data import Floats
from nestling_cloud.learning.routing.stream_filter import (
    GATE_MARGIN,
    fit_filter,
    gate_thresholds,
    is_stream,
)
from nestling_cloud.learning.routing.stream_replay import replay, streams_of
from nestling_cloud.progress import SilentProgress
from nestling_core.routing.calibration import parse_calibration
from tests.support.hand_bundle import calibration
from tests.support.recorded import recorded, shuffled


def believed_of(data: RoutingData) -> Floats:
    estimator = fit_multiplexer(
        data, seed=0, progress=SilentProgress(), design=Design(rule="max-softmax")
    )
    return beliefs(estimator, data)


def fitted_on(data: RoutingData) -> StreamFilter | None:
    return fit_filter(data, believed_of(data), at_once(1))


def labelled(*labels: int, lengths: tuple[int, ...]) -> RoutingData:
    data = recorded(10, seed=0).part(np.arange(len(labels)))
    return dataclasses.replace(data, labels=np.array(labels), lengths=lengths)


@pytest.fixture(scope="module")
def found() -> StreamFilter:
    found = fitted_on(recorded(16, seed=0, length=40))
    assert found is not None
    return found


def test_fitted_filter_is_one_that_a_bundle_may_have(found: StreamFilter) -> None:
    made: Calibration = calibration()
    for curve in made.curves:
        curve.filter.CopyFrom(found)

    assert parse_calibration(made.SerializeToString(), len(made.curves)) == made


def test_fitted_filter_answers_unseen_streams_better_than_none(found: StreamFilter) -> None:
    unseen = recorded(30, seed=1)
    streams = streams_of(unseen, believed_of(unseen), 0)
    none = StreamFilter(stay=0.0, reread=0.1, misread=0.2, weight=1.0, doubt=0.05)
    gains = gate_thresholds(np.linspace(-0.5, 0.6, 40))

    def accuracy(parameters: StreamFilter) -> float:
        played = replay(parameters, streams, at_once(1), gains)
        shares, accuracies = played.shares(), played.accuracies(unseen.labels)
        return float(np.interp([0.1, 0.2], shares[::-1], accuracies[::-1]).mean())

    assert accuracy(found) > accuracy(none) + 0.05


def test_filter_remembers_longer_where_classes_change_more_seldom(found: StreamFilter) -> None:
    changing = fitted_on(recorded(160, seed=0, length=4))

    assert changing is not None
    assert found.stay > changing.stay + 0.05


def test_inputs_that_are_no_recordings_get_no_filter() -> None:
    data = recorded(8, seed=0)

    assert fitted_on(data.part(np.arange(len(data)))) is None


def test_single_recording_gets_a_filter() -> None:
    data = recorded(16, seed=0, length=40)

    assert fitted_on(dataclasses.replace(data, lengths=[len(data)])) is not None


def test_independent_inputs_given_as_recordings_get_no_filter() -> None:
    data = recorded(16, seed=0, length=40)

    assert [fitted_on(shuffled(data, seed)) for seed in range(5)] == [None] * 5


def test_independent_inputs_are_seldom_taken_for_streams() -> None:
    data = recorded(16, seed=0, length=40)

    taken = [is_stream(shuffled(data, seed)) for seed in range(300)]

    assert sum(taken) <= 3


def test_streams_are_recognized_from_a_few_recordings() -> None:
    data = recorded(4, seed=0, length=12)

    assert is_stream(data)


def test_alternating_classes_are_no_persistence() -> None:
    assert not is_stream(labelled(*[0, 1] * 20, lengths=(20, 20)))


def test_one_class_only_is_no_persistence() -> None:
    assert not is_stream(labelled(*[2] * 40, lengths=(20, 20)))


def test_single_input_has_no_neighbors() -> None:
    assert not is_stream(labelled(0, lengths=(1,)))


def test_padding_is_no_neighbor() -> None:
    assert not is_stream(labelled(*[0, 1] * 60, lengths=(104, *[2] * 8)))


def test_pairs_count_as_persistence_from_three_standard_errors() -> None:
    # With two equally frequent classes, half of 399 pairs are equal by chance, +- 2.5%.
    rng = np.random.default_rng(0)
    results = []
    for equal in (0.5, 0.65):
        changes = rng.permutation(np.arange(399) >= equal * 399)
        labels = np.concatenate([[0], np.cumsum(changes) % 2])
        data = dataclasses.replace(
            recorded(10, seed=0).part(np.arange(400)), labels=labels, lengths=[400]
        )
        results.append(is_stream(data))

    assert results == [False, True]


def test_input_is_sent_at_the_gate_only_for_a_larger_gain() -> None:
    found = gate_thresholds(np.array([0.2, -1.0, -1.1]))

    assert found.accept.tolist() == [0.2, -1.0, -1.1]
    assert found.gate == pytest.approx([0.2 + GATE_MARGIN, -1 + GATE_MARGIN, -1.1])
