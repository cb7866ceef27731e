"""Tests of answering a stream with a device's own classes."""

import numpy as np
import pytest

from benchmarks.streams.device_run import Routing, _Device, run_device
from benchmarks.streams.fitted import FittedRouter
from nestling.v1.budget_pb2 import Budget
from nestling_cloud.learning.routing import CascadeRule, calibrate
from nestling_cloud.learning.routing.stream_replay import (
    Streams,
    Thresholds,
    deal_recordings,
    replay,
)
from nestling_core.routing.curve import point_at


@pytest.fixture(scope="module")
def routing(router: FittedRouter) -> Routing:
    calibration = calibrate(router.estimator, router.fitted, router.held_out, [100, 1_000_000])
    cascade = calibration.cascades[-1]
    assert cascade.start == 1
    rule = CascadeRule(start=1, top=2, threshold=cascade.threshold)
    return Routing(cascade=rule, curve=cascade.curve)


@pytest.mark.parametrize("target", [0.1, 0.4])
def test_target_is_kept(router: FittedRouter, routing: Routing, target: float) -> None:
    run = run_device(router, routing, target, order=0)

    assert run.share == pytest.approx(100 * target, abs=1.5)
    assert run.deviation < 3
    assert abs(run.overconfidence) < 15  # the recordings are much like those of the calibration


def test_device_without_a_window_is_like_the_replay(router: FittedRouter, routing: Routing) -> None:
    target, order = 0.2, 3
    point = point_at(routing.curve, target)
    base = router.streams[0]
    streams = Streams(
        places=deal_recordings(router.test.lengths, 1, order),
        evidence=base.evidence,
        right=base.right,
        cloud=base.cloud,
    )
    thresholds = Thresholds(
        gate=np.array([point.gate_threshold]), accept=np.array([point.accept_threshold])
    )
    expected = replay(routing.curve.filter, streams, routing.cascade, thresholds)

    device = _Device(router, routing, Budget(offload_share=target), corrected=False)

    for place in streams.places[0]:
        routed = device.answer(int(place))
        assert routed.sent == expected.sent[0, place]
        assert routed.answer == expected.answers[0, place]
