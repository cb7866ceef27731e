"""Joint training of a nested student, so that every prefix of its weights is a good model.

Sandwich rule with in-place distillation (US-Nets, Yu & Huang 2019): each step trains the largest
capacity on the teacher, the smallest and one in between on the largest, and sums the gradients.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nestling_cloud.distillation import distillation_loss, soft_divergence
from nestling_cloud.models.student import CapacityNorm, NestedStudent
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.task import Examples, Task
from nestling_cloud.training import logits_of, train

TEMPERATURE = 2.0
TEACHER_WEIGHT = 0.7
# Augmented copies of the training data. The teacher answers each of them once, before training,
# instead of in every step.
VIEWS = 8
_RECALIBRATION_BATCH = 512


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
) -> NestedStudent:
    """Distil a nested student from a teacher's answers.

    Args:
        task: student sizes and recipe.
        views: augmented inputs with the teacher's logits.
        train_inputs: the same inputs as they were recorded, for the normalisation.
        generator: shuffles, and picks the capacity between smallest and largest.
        progress: told every epoch.

    Returns:
        The student in evaluation mode, every capacity's normalisation calibrated.
    """
    student = NestedStudent(task.signature, task.student)
    student.normalizer.fit(train_inputs)

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        view = epoch % VIEWS
        return sandwich_loss(
            student,
            views.inputs[view][indices],
            views.logits[view][indices],
            views.labels[indices],
            generator,
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
    generator: torch.Generator,
) -> torch.Tensor:
    """Loss of the largest capacity on the teacher, and of smaller ones on the largest."""
    largest = student.config.capacities
    logits = student(inputs, largest)
    loss = distillation_loss(
        logits, teacher, labels, temperature=TEMPERATURE, weight=TEACHER_WEIGHT
    )
    for capacity in _smaller_capacities(largest, generator):
        loss = loss + soft_divergence(student(inputs, capacity), logits.detach(), TEMPERATURE)
    return loss


def _smaller_capacities(largest: int, generator: torch.Generator) -> list[int]:
    if largest == 1:
        return []
    between = list(range(2, largest))
    if not between:
        return [1]
    return [1, between[int(torch.randint(len(between), (1,), generator=generator))]]


@torch.no_grad()
def recalibrate(student: NestedStudent, inputs: torch.Tensor) -> None:
    """Measure every capacity's normalisation statistics anew on un-augmented inputs.

    The running averages of training lag behind the weights, and less often trained capacities lag
    more (US-Nets' post-statistics). A cumulative average has no lag.
    """
    for norm in student.modules():
        if isinstance(norm, CapacityNorm):
            norm.running_mean.zero_()
            norm.running_var.fill_(1.0)
    student.train()
    for step, batch in enumerate(torch.split(inputs, _RECALIBRATION_BATCH)):
        if len(batch) < 2:  # one input has no variance
            continue
        for norm in student.modules():
            if isinstance(norm, CapacityNorm):
                norm.momentum = 1.0 / (step + 1)
        for capacity in range(1, student.config.capacities + 1):
            student(batch, capacity)
    student.eval()
