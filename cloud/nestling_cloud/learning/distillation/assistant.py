"""Trains teacher assistants, which are networks whose size is between teacher and student.

A student that is far smaller than its teacher learns more from an assistant than from the teacher
itself (Mirzadeh et al. 2020).
"""

from dataclasses import replace

import torch
from torch import nn

from nestling_cloud.learning.distillation.augmented_views import AugmentedViews, make_views
from nestling_cloud.learning.distillation.objective import answer_loss
from nestling_cloud.learning.input_tensors import fit_normalizer
from nestling_cloud.learning.loop import BatchLoss, train
from nestling_cloud.learning.torch_device import device_of, training_device
from nestling_cloud.models.teacher import ConvTeacher
from nestling_cloud.progress import Progress
from nestling_cloud.recipes.distillation import Distillation
from nestling_cloud.tasks.examples import Examples
from nestling_cloud.tasks.task import Task


def train_assistants(
    task: Task,
    teacher: nn.Module,
    examples: Examples,
    distillation: Distillation,
    *,
    generator: torch.Generator,
    progress: Progress,
) -> nn.Module:
    """Train the assistants and return the network that is to teach the student.

    The first assistant learns from the teacher, and each later assistant from the one before it.
    They learn from logits and labels only, even if the student also imitates features.

    Args:
        task: the task, which sets the signature, the augmentation and the recipe. The assistants
            use the teacher's recipe, or the student's if the task's teacher is already trained.
        teacher: the trained teacher.
        examples: the training data.
        distillation: the widths of the assistants, the temperature, the weight of the teacher's
            answers relative to the labels, and the number of augmented copies.
        generator: the random generator for shuffling and augmentation.
        progress: the progress display, advanced once per epoch.

    Returns:
        The last assistant, or the teacher if there are no assistants.

    Raises:
        TrainingError: the data is too small, or a loss or a weight is no longer finite.
    """
    by_logits = replace(distillation, feature="none", assistants=())
    for width in distillation.assistants:
        views = make_views(task, teacher, examples, generator, by_logits)
        assistant = ConvTeacher(task.signature, width, front_end=task.student.front_end)
        fit_normalizer(assistant.normalizer, examples.inputs)
        assistant.head.fit(examples.labels)
        train(
            assistant,
            _loss_on(assistant, views),
            count=len(examples),
            recipe=task.teacher_recipe or task.student_recipe,
            generator=generator,
            progress=progress,
            what=f"teacher assistant of width {width}",
            device=training_device(),
        )
        teacher = assistant
    return teacher


def _loss_on(assistant: nn.Module, views: AugmentedViews) -> BatchLoss:
    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        batch = views.batch(epoch, indices, device_of(assistant))
        return answer_loss(assistant(batch.inputs).float(), batch, views.distillation)

    return loss_of
