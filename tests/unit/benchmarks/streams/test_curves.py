"""Tests of the accuracies at offload shares."""

import pytest

from benchmarks.streams.curves import (
    CLOUD_FILTERED,
    FILTERED,
    OURS,
    RIVALS,
    SHARES,
    at_share,
    curves_from,
    passing_share,
)
from benchmarks.streams.fitted import FittedRouter
from nestling_cloud.learning.routing import at_once


def test_curves_begin_with_the_device_and_end_with_the_cloud(router: FittedRouter) -> None:
    right = 100 * router.test.right.mean(axis=0)

    curves = curves_from(router, at_once(1), router.filter_of(at_once(1)))

    for name in RIVALS:
        assert curves[name][0] == pytest.approx(right[0])
        assert curves[name][-1] == pytest.approx(right[-1])
        # Which router sent them makes no difference where none or all are sent.
        assert curves[name + FILTERED][0] == pytest.approx(curves[OURS][0])
        assert curves[name + FILTERED][-1] == pytest.approx(curves[OURS][-1])
    assert curves[CLOUD_FILTERED][0] > right[-1]


def test_without_a_filter_rivals_are_compared_plainly(router: FittedRouter) -> None:
    curves = curves_from(router, at_once(2), None)

    assert set(curves) == {OURS, *RIVALS, CLOUD_FILTERED}
    assert curves[OURS][0] == pytest.approx(100 * router.test.right[:, 1].mean())


def test_a_curve_passes_at_the_first_share_above_an_accuracy() -> None:
    curve = [80.0, 80.0, 85.0, *[90.0] * (len(SHARES) - 3)]

    assert passing_share(curve, 80.0) == pytest.approx(0.01)
    assert passing_share(curve, 79.0) == 0
    assert passing_share(curve, 90.0) == 1
    assert at_share(curve, 0.01) == 85.0
