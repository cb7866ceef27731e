"""Train a nested student jointly, so that every prefix of its weights is a good model.

Slimmable networks (US-Nets, Yu & Huang 2019) sum a sandwich of capacities in each step, which is
one rule here. Another rule trains the capacities in turns, one per step; it makes a nested capacity
as good as the same network trained alone (docs/lab-log.md).
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nestling_cloud.learning.distillation.augmented_views import AugmentedViews, Batch
from nestling_cloud.learning.distillation.objective import Objective, TeacherObjective
from nestling_cloud.learning.loop import BatchLoss, train
from nestling_cloud.progress import Progress
from nestling_cloud.recipes.nesting import Joint, Rule
from nestling_cloud.recipes.recipe import Recipe
from nestling_cloud.tasks.task import Task
from nestling_core.student.losses import soft_divergence
from nestling_core.student.network import NestedStudent
from nestling_core.student.sandwich import TEMPERATURE, recalibrate, smaller_capacities

# Batch size in which early stopping scores the held-out inputs.
_SCORED = 512


def train_nested(
    task: Task,
    views: AugmentedViews,
    train_inputs: NDArray[np.float32],
    generator: torch.Generator,
    progress: Progress,
    *,
    joint: Joint | None = None,
) -> NestedStudent:
    """Distill a nested student from a teacher's answers.

    Args:
        task: student sizes and recipe.
        views: augmented inputs with the teacher's answers.
        train_inputs: the same inputs as recorded, for the normalization, (N, *shape).
        generator: for shuffling, and for the random capacities of a sandwich.
        progress: shows each epoch.
        joint: which capacities a step trains, and on what; the defaults of `Joint` if None.

    Returns:
        The student in evaluation mode, every capacity's normalization calibrated.

    Raises:
        TrainingError: the data is too small, or the loss is no longer finite.
    """
    joint = joint or Joint()
    inputs = torch.from_numpy(train_inputs)
    student = NestedStudent(task.signature, task.student)
    student.normalizer.fit(train_inputs)
    objective = TeacherObjective(student, views)

    @torch.no_grad()
    def score(part: slice) -> float:
        batches = zip(*(torch.split(x[part], _SCORED) for x in (inputs, views.labels)), strict=True)
        right = [student(x, k).argmax(1) == y for x, y in batches for k in capacities]
        return float(torch.cat(right).float().mean())

    capacities = range(1, task.student.capacities + 1)
    train(
        nn.ModuleList([student, objective]),
        objective_of(student, objective, views, generator, joint),
        count=len(views.labels),
        recipe=_in_turns(task.student_recipe, len(capacities) if joint.rule == "turns" else 1),
        generator=generator,
        progress=progress,
        what=f"nested student of {len(capacities)} capacities",
        score=score,
    )
    recalibrate(student, inputs)
    return student


def _in_turns(recipe: Recipe, turns: int) -> Recipe:
    """Lengthen a recipe so that each of several capacities sees the data as often as one alone."""
    return dataclasses.replace(
        recipe, epochs=recipe.epochs * turns, patience=recipe.patience * turns
    )


def objective_of(
    student: NestedStudent,
    objective: Objective,
    views: AugmentedViews,
    generator: torch.Generator,
    joint: Joint,
) -> BatchLoss:
    """Return the loss that joint training minimizes, for `nestling_cloud.learning.loop.train`.

    Each call of the loss is the next step; with turns, each call trains the next capacity.

    Args:
        student: the nest.
        objective: loss of the largest capacity.
        views: augmented inputs with the teacher's answers.
        generator: for the random capacities of a sandwich.
        joint: which capacities a step trains, and on what.
    """
    steps = capacities_of_steps(joint.rule, student.config.capacities, generator)

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        return joint_loss(
            student,
            objective,
            views.batch(epoch, indices),
            capacities=next(steps),
            teacher_share=joint.teacher_share,
        )

    return loss_of


def capacities_of_steps(
    rule: Rule, largest: int, generator: torch.Generator
) -> Iterator[list[int]]:
    """Yield the capacities that each step trains, without end.

    Args:
        rule: how a step chooses capacities.
        largest: K, the number of capacities.
        generator: for the random capacities of a sandwich.
    """
    order = [largest, *range(1, largest)]
    while True:
        match rule:
            case "turns":
                yield from ([capacity] for capacity in order)
            case "sum":
                yield order
            case "sandwich":
                yield [largest, *smaller_capacities(largest, generator)]


def joint_loss(
    student: NestedStudent,
    objective: Objective,
    batch: Batch,
    *,
    capacities: Sequence[int],
    teacher_share: float,
) -> torch.Tensor:
    """Return the sum of some capacities' losses.

    Args:
        student: the nest.
        objective: loss of the largest capacity; its answer part is used for the others too.
        batch: inputs, labels and the teacher's answers.
        capacities: the capacities to train.
        teacher_share: weight of the teacher in the smaller capacities' losses; the rest is in-place
            distillation from the largest capacity, which gets no gradient from it.
    """
    largest = student.config.capacities
    loss, largest_logits = torch.zeros(()), None
    for capacity in sorted(capacities, reverse=True):
        *outputs, pooled = student.features(batch.inputs, capacity)
        logits = student.classify(pooled, capacity)
        if capacity == largest:
            largest_logits = logits.detach()
            loss = loss + objective([*outputs, pooled], logits, batch)
            continue
        if teacher_share > 0:
            loss = loss + teacher_share * objective.answer(logits, batch)
        if teacher_share < 1:
            if largest_logits is None:
                largest_logits = _largest_logits(student, batch.inputs)
            divergence = soft_divergence(logits, largest_logits, TEMPERATURE)
            loss = loss + (1 - teacher_share) * divergence
    return loss


@torch.no_grad()
def _largest_logits(student: NestedStudent, inputs: torch.Tensor) -> torch.Tensor:
    """Return the largest capacity's logits in a step that does not train it."""
    logits: torch.Tensor = student(inputs, student.config.capacities)
    return logits
