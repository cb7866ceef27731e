"""Train a task's nested student from its teacher."""

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
    """Distill a nest by the task's recipes: assistants, nesting, quantization-aware fine-tuning.

    Args:
        task: student sizes and recipes.
        teacher: trained.
        examples: training data.
        generator: for shuffling and augmentation.
        progress: shows each epoch.

    Returns:
        The student in evaluation mode, not rounded yet.

    Raises:
        TrainingError: the data is too small, or a loss is no longer finite.
        TeacherFeatureError: the teacher lacks the feature that the distillation compares.
    """
    teaches = train_assistants(
        task, teacher, examples, task.distillation, generator=generator, progress=progress
    )
    views = make_views(task, teaches, examples, generator, task.distillation)
    student = nest(task, views, examples.inputs, generator, progress, nesting=task.nesting)
    fine_tune_on_grid(task, student, views, generator, progress)
    return student


def fine_tune_on_grid(
    task: Task,
    student: NestedStudent,
    views: AugmentedViews,
    generator: torch.Generator,
    progress: Progress,
) -> None:
    """Fine-tune a trained student with the rounding that it will get, if the task asks for it.

    Args:
        task: recipes; its quantization sets the number of epochs.
        student: trained further in place.
        views: its training data; the teacher's features are not used.
        generator: for shuffling.
        progress: shows each epoch.

    Raises:
        TrainingError: too few examples for a batch, or the loss is no longer finite.
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
