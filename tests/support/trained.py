"""Trains a small but real bundle for tests."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from nestling_cloud.bundles.cache import trained_repository
from nestling_cloud.progress import SilentProgress
from nestling_cloud.tasks import Examples, Recipe, Splits, Task
from nestling_cloud.tasks.wearable import TASK

SEED = 0


@dataclass(frozen=True, kw_only=True)
class TrainedTask:
    """The wearable task with a bundle trained in seconds, at the cost of accuracy.

    Attributes:
        task: the task with few epochs.
        splits: all subjects, with half of the training and calibration windows.
        repository: folder with the released bundle; copy it before writing to it.
    """

    task: Task
    splits: Splits
    repository: Path


def train_small(cache: Path) -> TrainedTask:
    """Train the small version, or load it from the cache."""
    task = dataclasses.replace(
        TASK, teacher_recipe=Recipe(epochs=4), student_recipe=Recipe(epochs=8)
    )
    whole = task.load_checked(None, SEED)
    splits = dataclasses.replace(
        whole, train=_every_second(whole.train), calibration=_every_second(whole.calibration)
    )
    trained = trained_repository(task, splits, seed=SEED, progress=SilentProgress(), cache=cache)
    return TrainedTask(task=task, splits=splits, repository=trained)


def _every_second(examples: Examples) -> Examples:
    return Examples(inputs=examples.inputs[::2], labels=examples.labels[::2])
