"""Recordings are replayed as the streams of devices, at many thresholds at once."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling.v1.bundle_pb2 import StreamFilter
from nestling_cloud.learning.routing import CascadeRule, at_once
from nestling_cloud.learning.routing.stream_replay import (
    Replay,
    Streams,
    Thresholds,
    deal_recordings,
    replay,
    streams_of,
)
from tests.support.recorded import recorded

FILTER = StreamFilter(stay=0.9, reread=0.1, misread=0.2, weight=0.5, doubt=0.05)
CASCADE = CascadeRule(start=1, top=2, threshold=0.05)
KEEP_ALL, KEEP_NONE = 2.0, -2.0
_lengths = st.lists(st.integers(1, 9), min_size=1, max_size=12)


def both(*accept: float) -> Thresholds:
    gains = np.array(accept)
    return Thresholds(gate=gains + 0.1, accept=gains)


@pytest.fixture(scope="module")
def streams() -> Streams:
    data = recorded(10, seed=0, length=20)
    rng = np.random.default_rng(1)
    return streams_of(data, rng.random((2, len(data), 3)).astype(np.float32), seed=0)


def arrays(played: Replay) -> list[np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
    return [played.sent, played.answers, played.device, played.larger]


@given(_lengths, st.data())
def test_every_recording_is_dealt_whole_to_one_stream(
    lengths: list[int], data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, len(lengths)))

    dealt = deal_recordings(lengths, count, seed=data.draw(st.integers(0, 99)))

    ends = np.cumsum(lengths).tolist()
    whole = [list(range(end - length, end)) for end, length in zip(ends, lengths, strict=True)]
    found = []
    for stream in dealt.tolist():
        inputs = [place for place in stream if place >= 0]
        assert stream == inputs + [-1] * (len(stream) - len(inputs))  # padded only at the end
        while inputs:
            (first,) = [one for one in whole if one[0] == inputs[0]]
            assert inputs[: len(first)] == first
            found.append(first)
            inputs = inputs[len(first) :]
    assert len(dealt) == count
    assert sorted(found) == whole
    assert any(stream[-1] >= 0 for stream in dealt.tolist())  # no more padding than needed


def test_seed_determines_the_order_of_the_recordings() -> None:
    lengths = [3] * 10

    first, again, other = (deal_recordings(lengths, 2, seed) for seed in (0, 0, 1))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_streams_have_about_five_recordings_each() -> None:
    data = recorded(20, seed=0, length=5)

    made = streams_of(data, np.full((2, len(data), 3), 0.5, np.float32), seed=0)

    assert len(made.places) == 4


def test_all_inputs_are_kept_or_sent_at_the_extremes(streams: Streams) -> None:
    played = replay(FILTER, streams, at_once(1), both(KEEP_ALL, KEEP_NONE))

    assert played.shares().tolist() == [0, 1]
    assert np.array_equal(played.answers[0], played.device[0])
    assert played.accuracies(played.answers[1])[1] == 1


@pytest.mark.parametrize("cascade", [at_once(1), at_once(2), CASCADE])
def test_thresholds_are_replayed_alike_alone_and_together(
    streams: Streams, cascade: CascadeRule
) -> None:
    tried = (0.3, 0.05, -0.1)

    together = replay(FILTER, streams, cascade, both(*tried))

    for number, one in enumerate(tried):
        alone = replay(FILTER, streams, cascade, both(one))
        for a, b in zip(arrays(alone), arrays(together), strict=True):
            assert np.array_equal(a[0], b[number])


@pytest.mark.parametrize("cascade", [at_once(1), CASCADE])
def test_streams_are_replayed_alike_alone_and_padded_among_others(
    streams: Streams, cascade: CascadeRule
) -> None:
    together = replay(FILTER, streams, cascade, both(0.05))

    assert (streams.places < 0).any()
    for stream in streams.places:
        inputs = stream[stream >= 0]
        alone = replay(
            FILTER, dataclasses.replace(streams, places=inputs[None]), cascade, both(0.05)
        )
        for a, b in zip(arrays(alone), arrays(together), strict=True):
            assert np.array_equal(a[0, inputs], b[0, inputs])


def test_each_replay_may_have_its_own_filter(streams: Streams) -> None:
    other = StreamFilter(stay=0.7, reread=0.3, misread=0.1, weight=1.0, doubt=0.2)

    @dataclasses.dataclass
    class Both:
        stay = np.array([0.9, 0.7])[:, None, None, None]
        reread = np.array([0.1, 0.3])[:, None, None, None]
        misread = np.array([0.2, 0.1])[:, None, None, None]
        weight = np.array([0.5, 1.0])[:, None, None, None]
        doubt = np.array([0.05, 0.2])[:, None, None, None]

    together = replay(Both(), streams, at_once(1), both(0.05, 0.05))

    for number, one in enumerate((FILTER, other)):
        alone = replay(one, streams, at_once(1), both(0.05))
        for a, b in zip(arrays(alone), arrays(together), strict=True):
            assert np.array_equal(a[0], b[number])


def test_later_inputs_do_not_change_earlier_routes(streams: Streams) -> None:
    half = streams.places.shape[1] // 2
    played = replay(FILTER, streams, CASCADE, both(0.05))
    earlier = streams.places[:, :half]

    cut = replay(FILTER, dataclasses.replace(streams, places=earlier), CASCADE, both(0.05))

    inputs = earlier[earlier >= 0]
    for a, b in zip(arrays(cut), arrays(played), strict=True):
        assert np.array_equal(a[0, inputs], b[0, inputs])


def test_urgency_of_another_router_replaces_the_predicted_gain(streams: Streams) -> None:
    urgency = np.random.default_rng(0).random(len(streams.cloud))

    played = replay(FILTER, streams, at_once(1), both(0.7), urgency)

    assert np.array_equal(played.sent[0], urgency > 0.7)


def test_cloud_answers_improve_the_answers_to_inputs_that_are_kept() -> None:
    data = recorded(20, seed=0)
    made = streams_of(data, np.full((2, len(data), 3), 0.7, np.float32), seed=0)
    every_tenth = (np.arange(len(data)) % 10 == 0).astype(float)

    alone = replay(FILTER, made, at_once(1), both(KEEP_ALL))
    helped = replay(FILTER, made, at_once(1), both(0.5), every_tenth)

    kept = ~helped.sent[0]
    gained = (helped.answers[0] == data.labels)[kept].mean()
    assert gained > (alone.answers[0] == data.labels)[kept].mean() + 0.1
