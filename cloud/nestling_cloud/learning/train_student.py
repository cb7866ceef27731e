"""Training a task's nested student from its teacher."""

import dataclasses

import torch
from torch import nn

from nestling_cloud.learning.distillation import (
    AugmentedViews,
    TeacherObjective,
    make_views,
    train_assistants,
)
from nestling_cloud.learning.nesting import nest, objective_of
from nestling_cloud.learning.quantization import fine_tune
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.task import Examples, Task
from nestling_core.student.network import NestedStudent


def train_student(
    task: Task,
    teacher: nn.Module,
    examples: Examples,
    generator: torch.Generator,
    progress: Progress,
) -> NestedStudent:
    """Distil a nest as the task says: assistants, nesting, training that knows of the rounding.

    Args:
        task: sizes and recipes.
        teacher: trained.
        examples: to learn from.
        generator: shuffles and augments.
        progress: told every epoch.

    Returns:
        The student in evaluation mode, not rounded yet.

    Raises:
        TrainingError: the data is too small, or a loss left the finite numbers.
        TeacherFeatureError: the teacher has no such feature as the distillation asks for.
    """
    teaches = train_assistants(
        task, teacher, examples, task.distillation, generator=generator, progress=progress
    )
    views = make_views(task, teaches, examples, generator, task.distillation)
    student = nest(task, views, examples.inputs, generator, progress, nesting=task.nesting)
    know_the_grid(task, student, views, generator, progress)
    return student


def know_the_grid(
    task: Task,
    student: NestedStudent,
    views: AugmentedViews,
    generator: torch.Generator,
    progress: Progress,
) -> None:
    """Fine-tune a trained student on the grid that it will be rounded to, if the task wants it.

    Args:
        task: recipes; its quantisation says for how many epochs.
        student: trained in place.
        views: what it learned from; features of the teacher are left out.
        generator: shuffles.
        progress: told every epoch.
    """
    answers = dataclasses.replace(views, features=None)
    objective = TeacherObjective(student, answers)
    fine_tune(
        student,
        objective_of(student, objective, answers, generator, task.nesting.joint),
        count=len(views.labels),
        recipe=task.student_recipe,
        quantization=task.quantization,
        turns=task.student.capacities if task.nesting.joint.rule == "turns" else 1,
        generator=generator,
        progress=progress,
    )
