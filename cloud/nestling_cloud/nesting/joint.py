"""Joint training of a nested student, so that every prefix of its weights is a good model.

Slimmable networks (US-Nets, Yu & Huang 2019): the largest capacity learns from the teacher, the
smaller ones from the largest, from the teacher, or from both.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nestling.student.losses import distillation_loss, soft_divergence
from nestling.student.network import NestedStudent
from nestling.student.sandwich import TEMPERATURE, recalibrate, smaller_capacities
from nestling_cloud.nesting.config import Joint
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.task import Examples, Task
from nestling_cloud.training import logits_of, train

TEACHER_WEIGHT = 0.7
# Augmented copies of the training data. The teacher answers each of them once, before training,
# instead of in every step.
VIEWS = 8


@dataclass(frozen=True, kw_only=True)
class Views:
    """Augmented copies of the training data and what the teacher says of each.

    Attributes:
        inputs: (VIEWS, N, *shape).
        logits: the teacher's, (VIEWS, N, classes).
        labels: (N,).
    """

    inputs: torch.Tensor
    logits: torch.Tensor
    labels: torch.Tensor


def make_views(
    task: Task, teacher: nn.Module, examples: Examples, generator: torch.Generator
) -> Views:
    """Augment the data a few times and let the teacher answer each copy once."""
    inputs = torch.from_numpy(examples.inputs)
    copies = [task.augment(inputs, generator) for _ in range(VIEWS)]
    return Views(
        inputs=torch.stack(copies),
        logits=torch.stack([logits_of(teacher, copy) for copy in copies]),
        labels=torch.from_numpy(examples.labels),
    )


def train_nested(
    task: Task,
    views: Views,
    train_inputs: NDArray[np.float32],
    generator: torch.Generator,
    progress: Progress,
    *,
    joint: Joint | None = None,
) -> NestedStudent:
    """Distil a nested student from a teacher's answers.

    Args:
        task: student sizes and recipe.
        views: augmented inputs with the teacher's logits.
        train_inputs: the same inputs as they were recorded, for the normalisation.
        generator: shuffles, and picks the capacity between smallest and largest.
        progress: told every epoch.
        joint: which capacities a step trains, and on what; by default as `Joint` says.

    Returns:
        The student in evaluation mode, every capacity's normalisation calibrated.
    """
    joint = joint or Joint()
    student = NestedStudent(task.signature, task.student)
    student.normalizer.fit(train_inputs)

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        view = epoch % VIEWS
        return sandwich_loss(
            student,
            views.inputs[view][indices],
            views.logits[view][indices],
            views.labels[indices],
            generator=generator,
            joint=joint,
        )

    train(
        student,
        loss_of,
        count=len(views.labels),
        recipe=task.student_recipe,
        generator=generator,
        progress=progress,
        what=f"nested student of {task.student.capacities} capacities",
    )
    recalibrate(student, torch.from_numpy(train_inputs))
    return student


def sandwich_loss(
    student: NestedStudent,
    inputs: torch.Tensor,
    teacher: torch.Tensor,
    labels: torch.Tensor,
    *,
    generator: torch.Generator,
    joint: Joint,
) -> torch.Tensor:
    """Loss of the largest capacity on the teacher, and of smaller ones on it and on the largest."""
    largest = student.config.capacities

    def taught(logits: torch.Tensor) -> torch.Tensor:
        return distillation_loss(
            logits, teacher, labels, temperature=TEMPERATURE, weight=TEACHER_WEIGHT
        )

    logits = student(inputs, largest)
    loss = taught(logits)
    smaller = range(1, largest) if joint.every_capacity else smaller_capacities(largest, generator)
    for capacity in smaller:
        answer = student(inputs, capacity)
        if joint.teacher_share > 0:
            loss = loss + joint.teacher_share * taught(answer)
        if joint.teacher_share < 1:
            by_largest = soft_divergence(answer, logits.detach(), TEMPERATURE)
            loss = loss + (1 - joint.teacher_share) * by_largest
    return loss
