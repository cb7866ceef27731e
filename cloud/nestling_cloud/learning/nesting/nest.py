"""Train a nested student in the way that the task chooses."""

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
    """Distill a nested student from a teacher's answers.

    Args:
        task: student sizes and recipe.
        views: augmented inputs with the teacher's logits.
        train_inputs: the same inputs as recorded, for the normalization, (N, *shape).
        generator: for shuffling and any other random choice.
        progress: shows each epoch.
        nesting: joint training or growing, with its settings.

    Returns:
        The student in evaluation mode, every capacity's normalization calibrated.

    Raises:
        OrderError: the student has shuffles and cannot be grown.
        RankingError: the labels form no triplets to rank filters by.
        TrainingError: the data is too small, or a loss is no longer finite.
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
