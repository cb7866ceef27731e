"""How well answers are judged that device and cloud give together."""

import numpy as np
import pytest

from benchmarks.tasks.learned import Learned
from benchmarks.tasks.routed import (
    PLAIN,
    TARGETS,
    highest,
    measure_margins,
    measure_routed,
    quality,
)
from nestling_cloud.learning.routing import RoutingData
from nestling_core.kinds.anomaly import Anomaly
from nestling_core.kinds.kind import Kind
from nestling_core.kinds.labels import SingleLabel
from nestling_core.kinds.regression import Regression

SCORE = Anomaly(("normal", "anomaly"))


def data(kind: Kind, logits: object, cloud: object, labels: object) -> RoutingData:
    outputs = np.array(logits, np.float32)
    return RoutingData(
        inputs=np.zeros((outputs.shape[1], 1), np.float32),
        logits=outputs,
        cloud=np.array(cloud, np.float32),
        labels=np.array(labels),
        kind=kind,
    )


def test_highest_scores_are_sent_up_to_the_share() -> None:
    assert highest(np.array([0.1, 0.9, 0.5, 0.2]), 0.5).tolist() == [False, True, True, False]


def test_quality_of_anomalies_has_f1_and_false_alarms() -> None:
    given = data(SCORE, [[[1.0]] * 4], [[1.0]] * 4, [1, 1, 0, 0])
    answers = SCORE.answers(np.array([[1.0], [-1], [1], [-1]], np.float32))

    found = quality(given, answers)

    assert (found.success, found.f1, found.false_alarms) == (50.0, 50.0, 50.0)


def test_quality_of_values_has_their_error() -> None:
    kind = Regression(("flow",), ("L/min",), (2.0,))
    given = data(kind, [[[1.0, 0]] * 2], [[1.0]] * 2, [[10.0], [20.0]])

    found = quality(given, np.array([[11.0], [25.0]], np.float32))

    assert (found.success, found.error) == (50.0, 3.0)


def learned(kind: Kind, seed: int = 0) -> Learned:
    """A device that is wrong about unsure inputs, and a cloud that is always right."""
    rng = np.random.default_rng(seed)

    def part(count: int) -> RoutingData:
        labels = rng.integers(0, 2, count)
        sign = 2.0 * labels[:, None] - 1
        unsure = rng.random((count, 1)) < 0.1
        device = np.where(unsure, -0.1 * sign, 2 * sign)
        if isinstance(kind, SingleLabel):
            device, sign = np.hstack([-device, device]), np.hstack([-sign, sign])
        return data(kind, [device], 3 * sign, labels)

    return Learned(
        kind=kind,
        calibration=part(600),
        test=part(600),
        weights_bytes=[1000],
        teacher_s=1.0,
        student_s=1.0,
    )


def test_routing_closes_the_gap_if_the_device_knows_where_it_errs() -> None:
    found = measure_routed(learned(SCORE), 0, share=0.15)

    assert found.cloud.success == 100.0
    assert found.device[0].success == pytest.approx(90, abs=4)
    assert found.routed[0].success == 100.0
    assert found.routed[0].f1 == 100.0


def test_margin_is_compared_at_every_share_without_a_filter_for_single_inputs() -> None:
    found = measure_margins(learned(SingleLabel(("a", "b"))), 0)

    assert set(found["smallest"]) == {PLAIN}
    assert set(found["smallest"][PLAIN]) == set(TARGETS)
    assert found["smallest"][PLAIN][0.2] == pytest.approx(0, abs=1e-6)
