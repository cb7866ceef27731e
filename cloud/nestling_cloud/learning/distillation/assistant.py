"""Train teacher assistants: networks between the teacher's size and the student's.

A student that is far smaller than its teacher learns more from a network in between that has
learned from the teacher (Mirzadeh et al. 2020).
"""

from dataclasses import replace

import torch
from torch import nn

from nestling_cloud.learning.distillation.augmented_views import AugmentedViews, make_views
from nestling_cloud.learning.distillation.objective import answer_loss
from nestling_cloud.learning.loop import BatchLoss, train
from nestling_cloud.models.teacher import ConvTeacher
from nestling_cloud.progress import Progress
from nestling_cloud.recipes.distillation import Distillation
from nestling_cloud.tasks.task import Examples, Task


def train_assistants(
    task: Task,
    teacher: nn.Module,
    examples: Examples,
    distillation: Distillation,
    *,
    generator: torch.Generator,
    progress: Progress,
) -> nn.Module:
    """Train assistants one after another, each distilled from the one before.

    Args:
        task: signature, augmentation, and the teacher's recipe, which the assistants use too; the
            student's recipe if the teacher came trained.
        teacher: trained.
        examples: training data.
        distillation: widths of the assistants, and temperature and weight of every step.
        generator: for shuffling and augmentation.
        progress: shows each epoch.

    Returns:
        The network that teaches the student: the last assistant, or the teacher if there are none.

    Raises:
        TrainingError: the data is too small, or a loss is no longer finite.
    """
    by_logits = replace(distillation, feature="none", assistants=())
    for width in distillation.assistants:
        views = make_views(task, teacher, examples, generator, by_logits)
        assistant = ConvTeacher(task.signature, width)
        assistant.normalizer.fit(examples.inputs)
        train(
            assistant,
            _loss_on(assistant, views),
            count=len(examples),
            recipe=task.teacher_recipe or task.student_recipe,
            generator=generator,
            progress=progress,
            what=f"teacher assistant of width {width}",
        )
        teacher = assistant
    return teacher


def _loss_on(assistant: nn.Module, views: AugmentedViews) -> BatchLoss:
    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        batch = views.batch(epoch, indices)
        return answer_loss(assistant(batch.inputs).float(), batch, views.distillation)

    return loss_of
