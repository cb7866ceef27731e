"""Tests of the replay with skipping and looking ahead."""

import numpy as np
import pytest

from benchmarks.streams.variants import NEVER, Rules, replay_at_share, replay_variants
from nestling.v1.bundle_pb2 import StreamFilter
from nestling_cloud.learning.routing import at_once
from nestling_cloud.learning.routing.stream_replay import (
    Streams,
    Thresholds,
    deal_recordings,
    evidence_of,
    replay,
)
from nestling_core.belief.evidence import softmax

FILTER = StreamFilter(stay=0.9, reread=0.1, misread=0.2, weight=0.5, doubt=0.05)
LENGTHS = [30, 17, 44, 9, 25]
CAPACITY = 2


@pytest.fixture(scope="module")
def streams() -> Streams:
    rng = np.random.default_rng(0)
    labels = np.repeat(rng.integers(0, 4, len(LENGTHS)), LENGTHS)
    told = np.eye(4)[labels]
    logits = (rng.normal(0, 1, (2, len(labels), 4)) + 1.5 * told).astype(np.float32)
    right = rng.uniform(0.3, 0.95, (2, len(labels), 3)).astype(np.float32)
    return Streams(
        places=deal_recordings(LENGTHS, 2, 0),
        evidence=evidence_of(logits, right),
        right=right.astype(np.float64),
        cloud=softmax(rng.normal(0, 1, (len(labels), 4)) + 3 * told),
    )


def test_without_variants_the_replay_is_that_of_devices(streams: Streams) -> None:
    accept = np.linspace(-0.5, 0.5, 7)
    rules = Rules(skip=np.full(7, NEVER), look_ahead=np.zeros(7))

    found = replay_variants(FILTER, streams, CAPACITY, rules, accept)

    expected = replay(
        FILTER, streams, at_once(CAPACITY), Thresholds(gate=accept + 0.1, accept=accept)
    )
    assert np.array_equal(found.sent, expected.sent)
    assert np.array_equal(found.answers, expected.answers)
    assert not found.skipped.any()


def test_a_lower_threshold_skips_more_and_never_what_is_sent(streams: Streams) -> None:
    rules = Rules(skip=np.array([0.6, 0.8, NEVER]), look_ahead=np.zeros(3))

    found = replay_variants(FILTER, streams, CAPACITY, rules, np.zeros(3))

    shares = found.skipped.mean(axis=1)
    assert shares[0] > shares[1] > shares[2] == 0
    assert not (found.skipped & found.sent).any()


def test_looking_ahead_sends_more_at_the_same_threshold(streams: Streams) -> None:
    rules = Rules(skip=np.full(2, NEVER), look_ahead=np.array([0.0, 1.0]))

    sent = replay_variants(FILTER, streams, CAPACITY, rules, np.zeros(2)).sent.mean(axis=1)

    assert sent[1] > sent[0]


def test_thresholds_send_the_share_that_is_asked_for(streams: Streams) -> None:
    rules = Rules(skip=np.array([NEVER, 0.8]), look_ahead=np.array([0.3, 0.0]))

    sent = replay_at_share(FILTER, streams, CAPACITY, rules, 0.2).sent.mean(axis=1)

    assert sent == pytest.approx([0.2, 0.2], abs=0.02)
    assert (sent <= 0.2).all()
