"""Thresholds and certificates for streams hold when the streams are replayed."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

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
    certify,
    fit_multiplexer,
)
from nestling_cloud.learning.routing.data import Bools
from nestling_cloud.learning.routing.routed_streams import RoutedStreams, stream_curve
from nestling_cloud.learning.routing.stream_replay import streams_of
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
    thresholds = routed(estimator, recorded(40, seed=1)).thresholds(SHARES)

    kept, _ = routed(estimator, recorded(40, seed=2)).outcomes(thresholds)

    sent = 1 - kept.mean(axis=1)
    small = np.array(SHARES) <= 0.3
    assert sent[small] == pytest.approx(np.array(SHARES)[small], abs=0.04)


def test_curve_has_the_accuracy_of_the_replay_and_ends_with_the_cloud(
    estimator: Estimator,
) -> None:
    held_out = routed(estimator, recorded(20, seed=1))

    curve = stream_curve(held_out)

    assert [point.offload_share for point in curve.points] == list(SHARES)
    assert curve.filter == FILTER
    pairs = [(point.gate_threshold, point.accept_threshold) for point in curve.points]
    kept, agrees = held_out.outcomes(pairs)
    assert kept[0].all()
    assert not kept[-1].any()
    asked = curve.points[list(SHARES).index(0.1)].accuracy
    assert asked > held_out.data.right[:, 0].mean() + 0.2
    keep_all = curve.points[0].accuracy
    labels, cloud = held_out.data.labels, held_out.data.cloud.argmax(axis=1)
    # The device is right where it agrees with a cloud that is right, and perhaps elsewhere too.
    assert keep_all >= (agrees[0] & (cloud == labels)).mean()


def test_outcomes_compare_the_devices_own_answer_with_the_cloud(estimator: Estimator) -> None:
    data = recorded(10, seed=1)
    agreeing = dataclasses.replace(data, cloud=data.logits[0])
    at_odds = dataclasses.replace(data, cloud=np.roll(data.logits[0], 1, axis=1))
    keep_all_and_none = [(2.0, 2.0), (-2.0, -2.0)]
    no_memory = StreamFilter(stay=0.0, reread=0.1, misread=0.2, weight=1.0, doubt=0.05)

    found = [
        dataclasses.replace(routed(estimator, one), parameters=no_memory).outcomes(
            keep_all_and_none
        )[1]
        for one in (agreeing, at_odds)
    ]

    assert found[0].all()
    assert not found[1].any()


def test_larger_capacity_runs_on_its_share_of_the_inputs(estimator: Estimator) -> None:
    data = recorded(20, seed=1)
    never = dataclasses.replace(CASCADE, threshold=1.0)
    always = dataclasses.replace(CASCADE, threshold=-1.0)

    shares = [routed(estimator, data, one).larger_share() for one in (never, always)]

    assert shares == [0, 1]


@dataclass(frozen=True)
class Known:
    """Streams whose thresholds are computed once."""

    streams: RoutedStreams
    pairs: list[tuple[float, float]]

    def __len__(self) -> int:
        return len(self.streams)

    def thresholds(self, shares: Sequence[float]) -> list[tuple[float, float]]:
        del shares
        return self.pairs

    def outcomes(self, pairs: Sequence[tuple[float, float]]) -> tuple[Bools, Bools]:
        return self.streams.outcomes(pairs)


@pytest.fixture(scope="module")
def fitted(estimator: Estimator) -> Known:
    streams = routed(estimator, recorded(30, seed=0))
    shares = [number / 80 for number in range(79, -1, -1)]
    return Known(streams, streams.thresholds(shares))


def test_certificates_hold_on_fresh_streams_about_as_often_as_promised(
    estimator: Estimator, fitted: Known
) -> None:
    fresh = routed(estimator, recorded(600, seed=1, length=20))
    kept, agrees = fresh.outcomes(fitted.pairs)
    risks = {
        pair: float((~right[stays]).mean()) if stays.any() else 0.0
        for pair, stays, right in zip(fitted.pairs, kept, agrees, strict=True)
    }

    broken, found = [], 0
    for seed in range(100, 140):
        held_out = routed(estimator, recorded(60, seed=seed, length=20))
        for risk in (0.05, 0.1):
            point = certify(fitted, held_out, risk=risk)
            found += point is not None
            pair = None if point is None else (point.gate_threshold, point.accept_threshold)
            broken.append(pair is not None and risks[pair] > risk)

    assert found > 20
    assert np.mean(broken) < 0.1 + 3 * np.sqrt(0.1 * 0.9 / len(broken))


def test_streams_on_which_device_and_cloud_differ_at_random_certify_nothing(
    estimator: Estimator, fitted: Known
) -> None:
    data = recorded(20, seed=3)
    scrambled = dataclasses.replace(
        data, cloud=data.cloud[np.random.default_rng(0).permutation(len(data))]
    )

    assert certify(fitted, routed(estimator, scrambled), risk=0.1) is None
