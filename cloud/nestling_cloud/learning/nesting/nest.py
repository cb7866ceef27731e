"""Nesting a student, in whichever way a task chooses."""

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
    """Distil a nested student from a teacher's answers.

    Args:
        task: student sizes and recipe.
        views: augmented inputs with the teacher's logits.
        train_inputs: the same inputs as they were recorded, for the normalisation.
        generator: shuffles, and draws whatever the way draws.
        progress: told every epoch.
        nesting: the way.

    Returns:
        The student in evaluation mode, every capacity's normalisation calibrated.

    Raises:
        OrderError: a student with shuffles cannot be grown.
        RankingError: labels that make no triplets to grow by.
        TrainingError: the data is too small, or a loss left the finite numbers.
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
