import numpy as np
import pytest

from nestling_cloud.learning.routing import RoutingData, success_targets
from nestling_cloud.learning.routing.correctness_labels import softmax, temperature
from tests.support.loudness_task import loud_and_quiet


def test_targets_by_hand() -> None:
    data = RoutingData(
        inputs=np.zeros((2, 1, 4), np.float32),
        logits=np.array([[[2, 0], [2, 0]]], np.float32),  # the device answers the first class twice
        cloud=np.log(np.array([[0.8, 0.2], [0.3, 0.7]], np.float32)),
        labels=np.array([0, 0]),
    )
    belief = softmax(data.cloud / temperature(data.cloud, data.labels))

    found = success_targets(data, label_part=0.5)

    device = [0.5 + 0.5 * belief[0, 0], 0.5 + 0.5 * belief[1, 0]]
    cloud = [0.5 + 0.5 * belief[0, 0], 0.5 * belief[1, 1]]
    assert found == pytest.approx(np.array([device, cloud]).T)


def test_targets_from_labels_alone_are_ones_and_zeros() -> None:
    data = loud_and_quiet(50, seed=0).data

    found = success_targets(data, label_part=1)

    assert np.array_equal(found, data.right)


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_temperature_recovers_the_true_one(true: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (5000, 4)).astype(np.float32)
    below = np.cumsum(softmax(logits), axis=1) < rng.random((5000, 1))
    labels = below[:, :3].sum(axis=1)

    assert temperature(logits * np.float32(true), labels) == pytest.approx(true, rel=0.12)


@pytest.mark.parametrize("size", [1e3, 1e30])
def test_targets_are_probabilities_for_any_teacher_logits(size: float) -> None:
    data = loud_and_quiet(50, seed=0).data
    loud = RoutingData(
        inputs=data.inputs,
        logits=data.logits,
        cloud=data.cloud * np.float32(size),
        labels=data.labels,
    )

    found = success_targets(loud)

    assert ((found >= 0) & (found <= 1)).all()
