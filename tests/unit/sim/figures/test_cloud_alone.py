import numpy as np
import pytest
from numpy.typing import NDArray

from nestling_cloud.tasks import Examples, concatenate
from nestling_sim.figures.cloud_alone import cloud_filter, filtered_answers

CLASSES = 4


def recordings(seed: int, *, alike: bool) -> Examples:
    """Twenty recordings; if alike, each has one class only."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(20):
        labels = rng.integers(0, CLASSES, size=1 if alike else 30).repeat(30 if alike else 1)
        parts.append(Examples(inputs=np.zeros((30, 1), np.float32), labels=labels))
    return concatenate(parts)


def noisy_logits(labels: NDArray[np.int64], seed: int) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).normal(size=(len(labels), CLASSES))
    return (noise + 2.0 * np.eye(CLASSES)[labels]).astype(np.float32)


def test_filter_that_is_fitted_on_some_recordings_helps_the_cloud_on_others() -> None:
    known, unseen = recordings(0, alike=True), recordings(1, alike=True)
    parameters = cloud_filter(known, noisy_logits(known.labels, 2))
    logits = noisy_logits(unseen.labels, 3)

    assert parameters is not None
    places = np.arange(len(unseen), dtype=np.intp).reshape(4, -1)
    answers = filtered_answers(parameters, places, logits)

    plain = (logits.argmax(axis=1) == unseen.labels).mean()
    assert plain < 0.9
    assert (answers == unseen.labels).mean() > plain + 0.05


@pytest.mark.parametrize("lengths", [True, False])
def test_independent_inputs_need_no_filter(*, lengths: bool) -> None:
    known = recordings(0, alike=False)
    if not lengths:
        known = Examples(inputs=known.inputs, labels=known.labels)

    assert cloud_filter(known, noisy_logits(known.labels, 2)) is None
