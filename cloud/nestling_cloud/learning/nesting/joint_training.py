"""Joint training of a nested student, so that every prefix of its weights is a good model.

After the slimmable networks (US-Nets, Yu & Huang 2019), whose sandwich of capacities, summed into
one step, is one rule. A step for each capacity in turn is another, and what makes a nested capacity
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

# Held-out inputs that early stopping looks at together.
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
    """Distil a nested student from a teacher's answers.

    Args:
        task: student sizes and recipe.
        views: augmented inputs with the teacher's word.
        train_inputs: the same inputs as they were recorded, for the normalisation.
        generator: shuffles, and picks what a sandwich has between smallest and largest.
        progress: told every epoch.
        joint: which capacities a step trains, and on what; by default as `Joint` says.

    Returns:
        The student in evaluation mode, every capacity's normalisation calibrated.
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
    """A recipe by which each of several capacities sees the data as often as one alone does."""
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
    """The loss that joint training minimises, for `nestling_cloud.learning.loop.train`.

    Each call is the next step; with turns it is the next capacity's.
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
    """Which capacities each step trains, without end."""
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
    """Sum of some capacities' losses.

    Args:
        student: the nest.
        objective: of the largest capacity; its answers' part is the others' too.
        batch: what they learn from.
        capacities: that learn.
        teacher_share: of the teacher in the smaller ones' losses; the rest is the largest
            capacity's word (in-place distillation), which does not learn from them.
    """
    largest = student.config.capacities
    loss, word = torch.zeros(()), None
    for capacity in sorted(capacities, reverse=True):
        *outputs, pooled = student.features(batch.inputs, capacity)
        logits = student.classify(pooled, capacity)
        if capacity == largest:
            word = logits.detach()
            loss = loss + objective([*outputs, pooled], logits, batch)
            continue
        if teacher_share > 0:
            loss = loss + teacher_share * objective.answer(logits, batch)
        if teacher_share < 1:
            word = _unlearned(student, batch.inputs) if word is None else word
            loss = loss + (1 - teacher_share) * soft_divergence(logits, word, TEMPERATURE)
    return loss


@torch.no_grad()
def _unlearned(student: NestedStudent, inputs: torch.Tensor) -> torch.Tensor:
    """What the largest capacity says in a step that is not its turn."""
    logits: torch.Tensor = student(inputs, student.config.capacities)
    return logits
