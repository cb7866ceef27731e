"""Joint training of a nested student, so that every prefix of its weights is a good model.

After the slimmable networks (US-Nets, Yu & Huang 2019), whose sandwich of capacities, summed into
one step, is one rule. A step for each capacity in turn is another, and brings nested capacities
closest to the same networks trained alone (docs/lab-log.md).
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nestling.student.losses import distillation_loss, soft_divergence
from nestling.student.network import NestedStudent
from nestling.student.sandwich import TEMPERATURE, recalibrate, smaller_capacities
from nestling_cloud.nesting.config import Joint, Rule
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.task import Examples, Task
from nestling_cloud.training import BatchLoss, logits_of, train

TEACHER_WEIGHT = 0.7
# Augmented copies of the training data. The teacher answers each of them once, before training,
# instead of in every step.
VIEWS = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
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
        generator: shuffles, and picks what a sandwich has between smallest and largest.
        progress: told every epoch.
        joint: which capacities a step trains, and on what; by default as `Joint` says.

    Returns:
        The student in evaluation mode, every capacity's normalisation calibrated.
    """
    joint, recipe = joint or Joint(), task.student_recipe
    student = NestedStudent(task.signature, task.student)
    student.normalizer.fit(train_inputs)
    # With turns a capacity learns in one step of so many: all see the data as often as one alone.
    turns = task.student.capacities if joint.rule == "turns" else 1
    train(
        student,
        joint_objective(student, views, generator, joint),
        count=len(views.labels),
        recipe=dataclasses.replace(recipe, epochs=recipe.epochs * turns),
        generator=generator,
        progress=progress,
        what=f"nested student of {task.student.capacities} capacities",
    )
    recalibrate(student, torch.from_numpy(train_inputs))
    return student


def joint_objective(
    student: NestedStudent, views: Views, generator: torch.Generator, joint: Joint
) -> BatchLoss:
    """Make the loss of a step; each call is the next step."""
    steps = capacities_of_steps(joint.rule, student.config.capacities, generator)

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        view = epoch % VIEWS
        return joint_loss(
            student,
            views.inputs[view][indices],
            views.logits[view][indices],
            views.labels[indices],
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
    inputs: torch.Tensor,
    teacher: torch.Tensor,
    labels: torch.Tensor,
    *,
    capacities: Sequence[int],
    teacher_share: float,
) -> torch.Tensor:
    """Sum of some capacities' losses.

    Args:
        student: the nest.
        inputs: (N, *shape).
        teacher: logits (N, classes).
        labels: (N,).
        capacities: that learn. The largest learns from the teacher.
        teacher_share: of the teacher in the others' losses; the rest is the largest capacity's
            word (in-place distillation), which does not learn from them.
    """
    largest = student.config.capacities
    answers = {capacity: student(inputs, capacity) for capacity in capacities}
    loss = torch.zeros(())
    for capacity, answer in answers.items():
        share = 1.0 if capacity == largest else teacher_share
        if share > 0:
            loss = loss + share * distillation_loss(
                answer, teacher, labels, temperature=TEMPERATURE, weight=TEACHER_WEIGHT
            )
        if share < 1:
            word = answers[largest] if largest in answers else _unlearned(student, inputs)
            loss = loss + (1 - share) * soft_divergence(answer, word.detach(), TEMPERATURE)
    return loss


@torch.no_grad()
def _unlearned(student: NestedStudent, inputs: torch.Tensor) -> torch.Tensor:
    """What the largest capacity says in a step that is not its turn."""
    logits: torch.Tensor = student(inputs, student.config.capacities)
    return logits
