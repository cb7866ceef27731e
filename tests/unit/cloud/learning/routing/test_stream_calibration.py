"""A calibration on recordings has a stream filter, and thresholds for streams."""

import dataclasses

import numpy as np
import pytest

from nestling.v1.bundle_pb2 import Calibration, RoutingCurve
from nestling_cloud.learning.routing import (
    SHARES,
    CascadeRule,
    Design,
    RoutingData,
    at_once,
    beliefs,
    calibrate,
    fit_multiplexer,
    share_out,
)
from nestling_cloud.learning.routing.routed_streams import RoutedStreams
from nestling_cloud.learning.routing.stream_filter import ungated
from nestling_cloud.learning.routing.stream_replay import Thresholds, streams_of
from nestling_cloud.progress import SilentProgress
from nestling_core.routing.calibration import parse_calibration
from nestling_core.routing.curve import useful_share
from tests.support.recorded import recorded, shuffled

MACS = (100_000, 8_000_000)
PLAIN = Design(rule="max-softmax")


def calibrated(data: RoutingData) -> Calibration:
    fitted, held_out = share_out(data)
    estimator = fit_multiplexer(fitted, seed=0, progress=SilentProgress(), design=PLAIN)
    return calibrate(estimator, fitted, held_out, MACS)


def independent(data: RoutingData) -> RoutingData:
    return data.part(np.arange(len(data)))


def held_out_streams(
    data: RoutingData, curve: RoutingCurve, cascade: CascadeRule, seed: int = 7
) -> RoutedStreams:
    """Return the held-out streams. With the default seed, they are dealt as by no fit."""
    fitted, held_out = share_out(data)
    estimator = fit_multiplexer(fitted, seed=0, progress=SilentProgress(), design=PLAIN)
    return RoutedStreams(
        parameters=curve.filter,
        streams=streams_of(held_out, beliefs(estimator, held_out), seed),
        data=held_out,
        cascade=cascade,
    )


def curves_of(calibration: Calibration) -> list[RoutingCurve]:
    return [*calibration.curves, *(one.curve for one in calibration.cascades if one.start)]


@pytest.fixture(scope="module")
def data() -> RoutingData:
    """Return recordings on which the larger capacity gives the cloud's answers."""
    data = recorded(40, seed=0, length=30)
    strength = np.random.default_rng(0).uniform(0.4, 1.2, (len(data), 1)).astype(np.float32)
    return dataclasses.replace(data, logits=np.stack([data.logits[0], data.cloud * strength]))


@pytest.fixture(scope="module")
def calibration(data: RoutingData) -> Calibration:
    return calibrated(data)


def test_curves_of_recordings_have_a_filter_that_a_bundle_may_have(
    calibration: Calibration,
) -> None:
    assert all(curve.HasField("filter") for curve in curves_of(calibration))
    assert parse_calibration(calibration.SerializeToString(), 2) == calibration


def test_cascade_of_recordings_has_a_curve_with_a_filter_of_its_own(
    calibration: Calibration,
) -> None:
    first, second = calibration.cascades

    assert (first.start, second.start) == (0, 1)
    assert second.curve.HasField("filter")
    assert 0 < second.larger_share < 1


def test_independent_inputs_given_as_recordings_are_calibrated_as_independent_ones(
    data: RoutingData,
) -> None:
    mixed = shuffled(data, 0)
    fitted, held_out = share_out(mixed)
    estimator = fit_multiplexer(fitted, seed=0, progress=SilentProgress(), design=PLAIN)
    apart = independent(fitted), independent(held_out)

    found = calibrate(estimator, fitted, held_out, MACS)

    assert not any(curve.HasField("filter") for curve in curves_of(found))
    expected = calibrate(estimator, *apart, MACS)
    for curve, other in zip(curves_of(found), curves_of(expected), strict=True):
        assert other.guarantee.dependence == 1
        assert curve.guarantee.dependence > 1  # measured, and cautious with so few recordings
        other.guarantee.dependence = curve.guarantee.dependence
    assert found == expected


def test_shares_of_the_curves_are_met_on_the_held_out_streams(
    data: RoutingData, calibration: Calibration
) -> None:
    (cascade,) = [one for one in calibration.cascades if one.start]
    rule = CascadeRule(start=1, top=2, threshold=cascade.threshold)
    for curve, routing in (
        (calibration.curves[0], at_once(1)),
        (calibration.curves[1], at_once(2)),
        (cascade.curve, rule),
    ):
        gate, accept = np.array([(p.gate_threshold, p.accept_threshold) for p in curve.points]).T
        streams = held_out_streams(data, curve, routing)
        sent = streams.replay(Thresholds(gate=gate, accept=accept)).shares()
        small = np.array(SHARES) <= 0.5
        assert sent[small] == pytest.approx(np.array(SHARES)[small], abs=0.05)
        assert (sent[0], sent[-1]) == (0, 1)


def test_filter_answers_better_than_independent_judgements(
    data: RoutingData, calibration: Calibration
) -> None:
    fitted, held_out = share_out(data)
    estimator = fit_multiplexer(fitted, seed=0, progress=SilentProgress(), design=PLAIN)
    apart = independent(fitted), independent(held_out)
    alone = calibrate(estimator, *apart, MACS)

    gained = {
        point.offload_share: point.accuracy - other.accuracy
        for point, other in zip(calibration.curves[0].points, alone.curves[0].points, strict=True)
    }

    assert gained[0.1] > 0.1
    assert gained[0.2] > 0.05


def test_plan_of_streams_has_the_figures_of_a_replay_without_a_gate(
    data: RoutingData, calibration: Calibration
) -> None:
    (cascade,) = [one for one in calibration.cascades if one.start]
    rule = CascadeRule(start=1, top=2, threshold=cascade.threshold)
    for curve, routing in ((calibration.curves[0], at_once(1)), (cascade.curve, rule)):
        plan = curve.guarantee
        accept = np.array([one.accept_threshold for one in plan.thresholds])
        streams = held_out_streams(data, curve, routing, seed=2)
        played = streams.replay(ungated(accept))
        kept = ~played.sent
        assert plan.inputs == calibration.inputs
        assert [one.kept for one in plan.thresholds] == kept.sum(axis=1).tolist()
        assert [one.changed for one in plan.thresholds] == (
            (kept & played.changed).sum(axis=1).tolist()
        )
        assert kept.mean(axis=1)[0] == pytest.approx(0.1, abs=0.05)
        assert plan.thresholds[-1].kept == plan.inputs
        assert (np.diff(accept) > 0).all()


def test_all_curves_of_a_bundle_have_one_dependence_length(calibration: Calibration) -> None:
    found = {curve.guarantee.dependence for curve in curves_of(calibration)}

    assert len(found) == 1
    assert found.pop() > 1


@pytest.mark.parametrize("in_streams", [True, False])
def test_worse_cloud_limits_the_useful_share(data: RoutingData, *, in_streams: bool) -> None:
    bad_cloud = dataclasses.replace(
        data, cloud=recorded(40, seed=0, length=30, cloud_right=0.3).cloud
    )
    given = bad_cloud if in_streams else shuffled(bad_cloud, 0)

    for curve in curves_of(calibrated(given)):
        useful = useful_share(curve)
        best = max(point.accuracy for point in curve.points)
        assert useful <= 0.3
        for point in curve.points:
            if point.offload_share == useful:
                assert point.accuracy > best - 0.003
            if point.offload_share > useful:
                assert point.accuracy < best - 0.002 + 1e-9


def test_better_cloud_does_not_limit_the_share(calibration: Calibration) -> None:
    assert not calibration.curves[0].HasField("useful_share")
    assert useful_share(calibration.curves[0]) == 1
