"""Thresholds for streams hold when the streams are replayed."""

import dataclasses

import numpy as np
import pytest

from nestling.v1.bundle_pb2 import StreamFilter
from nestling_cloud.learning.routing import (
    SHARES,
    CascadeRule,
    Design,
    Estimator,
    RoutingData,
    at_once,
    beliefs,
    fit_multiplexer,
)
from nestling_cloud.learning.routing.routed_streams import RoutedStreams, stream_curve
from nestling_cloud.learning.routing.stream_filter import ungated
from nestling_cloud.learning.routing.stream_replay import Thresholds, streams_of
from nestling_cloud.progress import SilentProgress
from tests.support.recorded import recorded

FILTER = StreamFilter(stay=0.9, reread=0.1, misread=0.2, weight=0.5, doubt=0.05)
CASCADE = CascadeRule(start=1, top=2, threshold=0.02)


@pytest.fixture(scope="module")
def estimator() -> Estimator:
    return fit_multiplexer(
        recorded(30, seed=0), seed=0, progress=SilentProgress(), design=Design(rule="max-softmax")
    )


def routed(
    estimator: Estimator, data: RoutingData, cascade: CascadeRule | None = None
) -> RoutedStreams:
    return RoutedStreams(
        parameters=FILTER,
        streams=streams_of(data, beliefs(estimator, data), 0),
        data=data,
        cascade=cascade or at_once(1),
    )


@pytest.mark.parametrize("cascade", [at_once(1), CASCADE], ids=["at once", "cascade"])
def test_target_shares_are_met_on_the_streams(estimator: Estimator, cascade: CascadeRule) -> None:
    held_out = routed(estimator, recorded(20, seed=1), cascade)

    thresholds, played = held_out.at_shares(SHARES)

    assert played.shares() == pytest.approx(np.array(SHARES), abs=0.02)
    assert played.shares()[0] == 0
    assert played.shares()[-1] == 1
    assert (np.diff(thresholds.accept) <= 0).all()


def test_thresholds_nearly_meet_the_shares_on_other_streams(estimator: Estimator) -> None:
    thresholds, _ = routed(estimator, recorded(40, seed=1)).at_shares(SHARES)

    sent = routed(estimator, recorded(40, seed=2)).replay(thresholds).shares()

    small = np.array(SHARES) <= 0.3
    assert sent[small] == pytest.approx(np.array(SHARES)[small], abs=0.04)


def test_curve_has_the_accuracy_of_the_replay_and_ends_with_the_cloud(
    estimator: Estimator,
) -> None:
    held_out = routed(estimator, recorded(20, seed=1))

    curve = stream_curve(held_out)

    assert [point.offload_share for point in curve.points] == list(SHARES)
    assert curve.filter == FILTER
    gate, accept = np.array([(p.gate_threshold, p.accept_threshold) for p in curve.points]).T
    played = held_out.replay(Thresholds(gate=gate, accept=accept))
    labels, cloud = held_out.data.labels, held_out.data.cloud.argmax(axis=1)
    assert not played.sent[0].any()
    assert played.sent[-1].all()
    asked = curve.points[list(SHARES).index(0.1)].accuracy
    assert asked > held_out.data.right[:, 0].mean() + 0.2
    # The device is right where it agrees with a cloud that is right, and perhaps elsewhere too.
    agrees = played.device[0] == cloud
    assert curve.points[0].accuracy >= (agrees & (cloud == labels)).mean()


def test_cloud_changes_answers_that_it_does_not_share(estimator: Estimator) -> None:
    data = recorded(10, seed=1)
    agreeing = dataclasses.replace(data, cloud=3 * data.logits[0])
    at_odds = dataclasses.replace(data, cloud=np.roll(3 * data.logits[0], 1, axis=1))
    no_memory = StreamFilter(stay=0.0, reread=0.1, misread=0.2, weight=0.1, doubt=0.05)

    found = [
        dataclasses.replace(routed(estimator, one), parameters=no_memory).replay(
            ungated(np.array([-2.0, 1.0]))
        )
        for one in (agreeing, at_odds)
    ]

    assert not found[0].changed.any()
    assert found[1].changed.mean() > 0.5
    for one in found:
        assert np.array_equal(one.sent.mean(axis=1), [1, 0])
        assert np.array_equal(one.changed, one.told != one.device)
        assert np.array_equal(one.answers, np.where(one.sent, one.told, one.device))


def test_without_a_gate_the_first_capacity_sends_nothing(estimator: Estimator) -> None:
    always = dataclasses.replace(CASCADE, threshold=-1.0)
    streams = routed(estimator, recorded(20, seed=1), always)
    accept = np.array([0.1])

    plain = streams.replay(ungated(accept))
    gated = streams.replay(Thresholds(gate=accept, accept=accept))

    assert plain.larger.all()
    assert 0 < plain.sent.mean() < 1
    assert not gated.larger.all()


def test_larger_capacity_runs_on_its_share_of_the_inputs(estimator: Estimator) -> None:
    data = recorded(20, seed=1)
    never = dataclasses.replace(CASCADE, threshold=1.0)
    always = dataclasses.replace(CASCADE, threshold=-1.0)

    shares = [routed(estimator, data, one).larger_share() for one in (never, always)]

    assert shares == [0, 1]
