"""Trains all capacities (sizes) of a nested student jointly, so that each is a good model.

A rule chooses the capacities that an optimizer step trains:

- "turns" trains one capacity per step, each in turn. A nested capacity then becomes as accurate as
  a separate network of the same size (docs/lab-log.md).
- "sum" sums the losses of all capacities.
- "sandwich" sums the losses of the largest, the smallest and a random capacity in between, as
  slimmable networks do (US-Nets, Yu & Huang 2019).
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn

from nestling_cloud.learning.distillation.augmented_views import AugmentedViews, Batch
from nestling_cloud.learning.distillation.objective import Objective, TeacherObjective
from nestling_cloud.learning.input_tensors import fit_normalizer, split, tensors_of
from nestling_cloud.learning.kind_losses import imitation_loss
from nestling_cloud.learning.loop import BatchLoss, train
from nestling_cloud.learning.torch_device import device_of, placed, training_device
from nestling_cloud.progress import Progress
from nestling_cloud.recipes.nesting import Joint, Rule
from nestling_cloud.recipes.recipe import Recipe
from nestling_cloud.tasks.inputs import Inputs, rows_of
from nestling_cloud.tasks.task import Task
from nestling_core.kinds.anomaly import Anomaly
from nestling_core.student.network import NestedStudent
from nestling_core.student.sandwich import TEMPERATURE, recalibrate, smaller_capacities

# Batch size in which early stopping scores the held-out inputs.
_SCORED = 512


def train_nested(
    task: Task,
    views: AugmentedViews,
    train_inputs: Inputs,
    generator: torch.Generator,
    progress: Progress,
    *,
    joint: Joint | None = None,
) -> NestedStudent:
    """Return a nested student whose capacities were trained jointly by distillation.

    Args:
        task: the task, which sets the student's sizes and recipe.
        views: the augmented inputs with the teacher's answers.
        train_inputs: the same inputs without augmentation, for the normalization, (N, *shape).
        generator: the random generator for shuffling and for the rule "sandwich".
        progress: the progress display, advanced once per epoch.
        joint: the options of joint training; the defaults of `Joint` if None.

    Returns:
        The student in evaluation mode, with normalization statistics for every capacity.

    Raises:
        TrainingError: the data is too small, or the loss or a weight is no longer finite.
    """
    joint = joint or Joint()
    inputs = tensors_of(train_inputs)
    student = NestedStudent(task.signature, task.student)
    fit_normalizer(student.normalizer, train_inputs)
    if student.output_scale is not None:
        student.output_scale.fit(views.labels.numpy())
    objective = TeacherObjective(student, views)

    @torch.no_grad()
    def score(part: slice) -> float:
        held_out = tensors_of(rows_of(train_inputs, part)), views.labels[part]
        batches = zip(*(split(x, _SCORED) for x in held_out), strict=True)
        right = [
            kind.success(kind.answers(student(x.to(device), k).cpu().numpy()), y.numpy())
            for x, y in batches
            for k in capacities
        ]
        return float(np.concatenate(right).mean())

    capacities, device = range(1, task.student.capacities + 1), training_device()
    kind = views.kind
    train(
        nn.ModuleList([student, objective]),
        objective_of(student, objective, views, generator, joint),
        count=len(views.labels),
        recipe=_in_turns(task.student_recipe, len(capacities) if joint.rule == "turns" else 1),
        generator=generator,
        progress=progress,
        what=f"nested student of {len(capacities)} capacities",
        # Labels say nothing about inputs that were made unusual.
        score=None if isinstance(kind, Anomaly) else score,
        device=device,
    )
    with placed(student, device):
        recalibrate(student, inputs)
    return student


def _in_turns(recipe: Recipe, turns: int) -> Recipe:
    """Return the recipe with its epochs and its patience multiplied by the number of turns.

    Each of the capacities that take turns is then trained for as many epochs as the recipe sets.
    """
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
    """Return the loss function that joint training minimizes.

    Pass the result to `nestling_cloud.learning.loop.train`. Each call of the loss function counts
    as one step, for which the rule of joint training chooses the capacities.

    Args:
        student: the nested student to train.
        objective: the loss of the largest capacity. The smaller capacities use only its part on
            answers and labels.
        views: the augmented inputs with the teacher's answers.
        generator: the random generator by which the rule "sandwich" chooses a capacity.
        joint: the options of joint training, such as the rule that chooses a step's capacities.
    """
    steps = capacities_of_steps(joint.rule, student.config.capacities, generator)

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        return joint_loss(
            student,
            objective,
            views.batch(epoch, indices, device_of(student)),
            capacities=next(steps),
            teacher_share=joint.teacher_share,
        )

    return loss_of


def capacities_of_steps(
    rule: Rule, largest: int, generator: torch.Generator
) -> Iterator[list[int]]:
    """Yield the capacities that each step of joint training trains, in an endless sequence.

    Args:
        rule: the rule that chooses the capacities of a step.
        largest: the number of capacities, K.
        generator: the random generator by which the rule "sandwich" chooses a capacity.
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
    """Return the sum of the losses of some capacities for a batch.

    Args:
        student: the nested student to train.
        objective: the loss of the largest capacity. The smaller capacities use only its part on
            answers and labels.
        batch: the inputs, their labels and the teacher's answers.
        capacities: the capacities whose losses are summed, in any order.
        teacher_share: the weight, 0 to 1, with which a smaller capacity learns from the teacher's
            answers and the labels. It learns from the largest capacity's logits, through which no
            gradient flows, with the weight `1 - teacher_share`.
    """
    largest = student.config.capacities
    loss, largest_logits = torch.zeros((), device=batch.inputs.device), None
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
            divergence = imitation_loss(batch.kind, logits, largest_logits, TEMPERATURE)
            loss = loss + (1 - teacher_share) * divergence
    return loss


@torch.no_grad()
def _largest_logits(student: NestedStudent, inputs: torch.Tensor) -> torch.Tensor:
    logits: torch.Tensor = student(inputs, student.config.capacities)
    return logits
