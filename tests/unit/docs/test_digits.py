"""The example task of docs/examples: a teacher that comes trained, and data loaders."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nestling_cloud.learning.loop import logits_of
from nestling_cloud.learning.make_teacher import make_teacher
from nestling_cloud.tasks import Task, concatenate, load_task

REFERENCE = f"{Path(__file__).parents[3]}/docs/examples/digits.py:TASK"


@pytest.fixture(scope="module")
def task() -> Task:
    return load_task(REFERENCE)


def test_splits_are_checked_and_have_a_stream_for_every_device(task: Task) -> None:
    splits = task.load_checked(None, 1)

    assert (len(splits.train), len(splits.calibration)) == (1000, 400)
    assert len(splits.test) == 10
    parts = [splits.train, splits.calibration, *splits.test]
    assert sum(map(len, parts)) == 1797  # none lost


def test_teacher_comes_trained_and_saw_neither_calibration_nor_test(task: Task) -> None:
    torch.manual_seed(0)
    splits, other = task.load(None, 0), task.load(None, 5)
    unseen = concatenate([splits.calibration, *splits.test])

    logits = logits_of(make_teacher(task), torch.from_numpy(unseen.inputs))

    assert task.teacher_recipe is None
    assert np.array_equal(splits.train.inputs, other.train.inputs)  # whatever the seed
    assert not np.array_equal(splits.calibration.inputs, other.calibration.inputs)
    assert (logits.argmax(1).numpy() == unseen.labels).mean() > 0.9
