"""Joint training of a nested student, so that every prefix of its weights is a good model.

The largest capacity learns from the teacher, the smaller ones from the largest: see
`nestling.student.sandwich`.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nestling.student.network import NestedStudent
from nestling.student.sandwich import recalibrate, smaller_capacities_losses
from nestling_cloud.distillation.objective import Objective, TeacherObjective
from nestling_cloud.distillation.views import Batch, Views
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.task import Task
from nestling_cloud.training import train


def train_nested(
    task: Task,
    views: Views,
    train_inputs: NDArray[np.float32],
    generator: torch.Generator,
    progress: Progress,
) -> NestedStudent:
    """Distil a nested student from a teacher's answers.

    Args:
        task: student sizes and recipe.
        views: augmented inputs with the teacher's word.
        train_inputs: the same inputs as they were recorded, for the normalisation.
        generator: shuffles, and picks the capacity between smallest and largest.
        progress: told every epoch.

    Returns:
        The student in evaluation mode, every capacity's normalisation calibrated.
    """
    student = NestedStudent(task.signature, task.student)
    student.normalizer.fit(train_inputs)
    objective = TeacherObjective(student, views)

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        return sandwich_loss(student, objective, views.batch(epoch, indices), generator)

    train(
        nn.ModuleList([student, objective]),
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
    student: NestedStudent, objective: Objective, batch: Batch, generator: torch.Generator
) -> torch.Tensor:
    """Loss of the largest capacity by the objective, and of smaller ones on the largest."""
    largest = student.config.capacities
    features = student.features(batch.inputs, largest)
    logits = student.classify(features[-1], largest)
    smaller = smaller_capacities_losses(student, batch.inputs, logits, largest, generator)
    return sum(smaller, objective(features, logits, batch))
