"""Trains a nested student by the method that the task's options name."""

import numpy as np
import torch
from numpy.typing import NDArray

from nestling_cloud.learning.distillation.augmented_views import AugmentedViews
from nestling_cloud.learning.nesting.freeze_and_grow import train_grown
from nestling_cloud.learning.nesting.joint_training import train_nested
from nestling_cloud.learning.nesting.training_set import TrainingSet
from nestling_cloud.progress import Progress
from nestling_cloud.recipes.nesting import Nesting
from nestling_cloud.tasks.task import Task
from nestling_core.student.network import NestedStudent


def nest(
    task: Task,
    views: AugmentedViews,
    train_inputs: NDArray[np.float32],
    generator: torch.Generator,
    progress: Progress,
    *,
    nesting: Nesting,
) -> NestedStudent:
    """Return a nested student trained by distillation, jointly or by growing.

    Args:
        task: the task, which sets the student's sizes and recipe.
        views: the augmented inputs with the teacher's answers; growing does not use features.
        train_inputs: the same inputs without augmentation, for the normalization, (N, *shape).
        generator: the random generator for shuffling and any other random choice.
        progress: the progress display, advanced once per epoch.
        nesting: the name of the method, joint training or growing, and the options of both.

    Returns:
        The student in evaluation mode, with normalization statistics for every capacity.

    Raises:
        OrderError: the student is to be grown, but has shuffle blocks.
        RankingError: the student is to be grown, but there is only one class, or no class has two
            inputs.
        TrainingError: the data is too small, or a loss or a weight is no longer finite.
    """
    if nesting.way == "joint":
        return train_nested(task, views, train_inputs, generator, progress, joint=nesting.joint)
    training_set = TrainingSet(
        task=task,
        views=views,
        train_inputs=train_inputs,
        generator=generator,
        progress=progress,
    )
    return train_grown(training_set, nesting.grow)
