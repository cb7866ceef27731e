"""Trains a task's nested student to imitate the teacher."""

import dataclasses

import torch
from torch import nn

from nestling_cloud.learning.distillation import (
    AugmentedViews,
    TeacherObjective,
    inputs_as_trained,
    make_views,
    train_assistants,
)
from nestling_cloud.learning.feature_space import behind_front_end, with_front_end
from nestling_cloud.learning.nesting import objective_of, train_grown, train_nested
from nestling_cloud.learning.nesting.training_set import TrainingSet
from nestling_cloud.learning.quantization import fine_tune
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.examples import Examples
from nestling_cloud.tasks.task import Task
from nestling_core.kinds.of_signature import kind_of
from nestling_core.student.network import NestedStudent


def train_student(
    task: Task,
    teacher: nn.Module,
    examples: Examples,
    generator: torch.Generator,
    progress: Progress,
) -> NestedStudent:
    """Return a nested student that is trained to imitate the teacher.

    The function first trains the assistants (networks whose size is between teacher and student),
    then the student, and finally fine-tunes the student with simulated rounding
    (quantization-aware training). The task may leave out the assistants and the fine-tuning.

    Args:
        task: the task, which sets the student's sizes and the recipes.
        teacher: the trained teacher.
        examples: the training data.
        generator: the random generator for shuffling, augmentation and other random choices.
        progress: the progress display, advanced once per epoch.

    Returns:
        The student in evaluation mode, with weights that are not rounded yet.

    Raises:
        TrainingError: the data is too small, a loss, a weight or an activation is no longer finite,
            or the student cannot be trained by growing (OrderError, RankingError).
        TeacherFeatureError: the teacher lacks the feature that the distillation compares.
        ViewsError: the disk has no room for the augmented copies of the training data.
    """
    teaches = train_assistants(
        task, teacher, examples, task.distillation, generator=generator, progress=progress
    )
    views = make_views(task, teaches, examples, generator, task.distillation)
    # A front end would compute the same features in every epoch, and once for each capacity.
    met = inputs_as_trained(kind_of(task.signature), examples.inputs)
    inner, views, inputs = behind_front_end(task, views, met)
    nesting = inner.nesting
    if nesting.way == "joint":
        student = train_nested(inner, views, inputs, generator, progress, joint=nesting.joint)
    else:
        training_set = TrainingSet(
            task=inner,
            views=views,
            train_inputs=inputs,
            generator=generator,
            progress=progress,
        )
        student = train_grown(training_set, nesting.grow)
    fine_tune_on_grid(inner, student, views, generator, progress)
    return with_front_end(task, student)


def fine_tune_on_grid(
    task: Task,
    student: NestedStudent,
    views: AugmentedViews,
    generator: torch.Generator,
    progress: Progress,
) -> None:
    """Fine-tune a trained student with its weights and activations rounded as on a device.

    If the task's quantization sets `aware_epochs` to 0, nothing changes.

    Args:
        task: the task, which sets the recipes and the number of epochs.
        student: the trained student, which is changed in place.
        views: the augmented training data with the teacher's logits. The teacher's features are not
            used.
        generator: the random generator for shuffling and other random choices.
        progress: the progress display, advanced once per epoch.

    Raises:
        TrainingError: there are too few examples for a batch, or the loss, a weight or an
            activation is no longer finite.
    """
    if task.quantization.aware_epochs == 0:
        return
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
