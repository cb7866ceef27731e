"""Joint training of a nested student, so that every prefix of its weights is a good model.

Slimmable networks (US-Nets, Yu & Huang 2019): the largest capacity learns from the teacher, the
smaller ones from the largest, from the teacher, or from both.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nestling.student.losses import soft_divergence
from nestling.student.network import NestedStudent
from nestling.student.sandwich import TEMPERATURE, recalibrate, smaller_capacities
from nestling_cloud.distillation.objective import Objective, TeacherObjective
from nestling_cloud.distillation.views import Batch, Views
from nestling_cloud.progress import Progress
from nestling_cloud.recipes.nesting import Joint
from nestling_cloud.tasks.task import Task
from nestling_cloud.training import BatchLoss, train


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
        views: augmented inputs with the teacher's word.
        train_inputs: the same inputs as they were recorded, for the normalisation.
        generator: shuffles, and picks the capacity between smallest and largest.
        progress: told every epoch.
        joint: which capacities a step trains, and on what; by default as `Joint` says.

    Returns:
        The student in evaluation mode, every capacity's normalisation calibrated.
    """
    student = NestedStudent(task.signature, task.student)
    student.normalizer.fit(train_inputs)
    objective = TeacherObjective(student, views)
    train(
        nn.ModuleList([student, objective]),
        objective_of(student, objective, views, generator, joint or Joint()),
        count=len(views.labels),
        recipe=task.student_recipe,
        generator=generator,
        progress=progress,
        what=f"nested student of {task.student.capacities} capacities",
    )
    recalibrate(student, torch.from_numpy(train_inputs))
    return student


def objective_of(
    student: NestedStudent,
    objective: Objective,
    views: Views,
    generator: torch.Generator,
    joint: Joint,
) -> BatchLoss:
    """The loss that joint training minimises, for `nestling_cloud.training.train`."""

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        batch = views.batch(epoch, indices)
        return sandwich_loss(student, objective, batch, generator=generator, joint=joint)

    return loss_of


def sandwich_loss(
    student: NestedStudent,
    objective: Objective,
    batch: Batch,
    *,
    generator: torch.Generator,
    joint: Joint,
) -> torch.Tensor:
    """Loss of the largest capacity by the objective, and of smaller ones on it and the largest."""
    largest = student.config.capacities
    features = student.features(batch.inputs, largest)
    logits = student.classify(features[-1], largest)
    loss = objective(features, logits, batch)
    smaller = range(1, largest) if joint.every_capacity else smaller_capacities(largest, generator)
    for capacity in smaller:
        answer = student(batch.inputs, capacity)
        if joint.teacher_share > 0:
            loss = loss + joint.teacher_share * objective.answer(answer, batch)
        if joint.teacher_share < 1:
            by_largest = soft_divergence(answer, logits.detach(), TEMPERATURE)
            loss = loss + (1 - joint.teacher_share) * by_largest
    return loss
