"""Nesting a student, in whichever way a task chooses."""

import numpy as np
import torch
from numpy.typing import NDArray

from nestling.student.network import NestedStudent
from nestling_cloud.nesting.config import Nesting
from nestling_cloud.nesting.grow import train_grown
from nestling_cloud.nesting.joint import Views, joint_objective, train_nested
from nestling_cloud.nesting.lesson import Lesson
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.task import Task
from nestling_cloud.training import BatchLoss


def nest(
    task: Task,
    views: Views,
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
    lesson = Lesson(
        task=task,
        views=views,
        train_inputs=train_inputs,
        generator=generator,
        progress=progress,
    )
    return train_grown(lesson, nesting.grow)


def objective_of(
    student: NestedStudent, views: Views, generator: torch.Generator, *, nesting: Nesting
) -> BatchLoss:
    """The loss that a nest which is trained already is tuned on, all of it at once.

    Args:
        student: trained in either way; a grown one no longer keeps its small capacities frozen.
        views: augmented inputs with the teacher's logits.
        generator: picks capacities.
        nesting: the rule of its joint part counts. With turns a batch takes as many steps as there
            are capacities.
    """
    return joint_objective(student, views, generator, nesting.joint)
