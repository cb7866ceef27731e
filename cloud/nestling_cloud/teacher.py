"""Training a task's teacher on the labels."""

import torch
from torch import nn
from torch.nn import functional

from nestling_cloud.progress import Progress
from nestling_cloud.tasks.task import Examples, Task
from nestling_cloud.training import laid_out, logits_of, train

_LABEL_SMOOTHING = 0.1


def train_teacher(
    task: Task, examples: Examples, generator: torch.Generator, progress: Progress
) -> nn.Module:
    """Make the task's teacher, and train it unless it comes trained.

    Args:
        task: teacher and recipe.
        examples: to learn from.
        generator: shuffles and augments.
        progress: told every epoch.

    Returns:
        The teacher in evaluation mode.

    Raises:
        TrainingError: the data is too small, or the loss left the finite numbers.
    """
    teacher = task.teacher(task.signature).eval()
    if task.teacher_recipe is None:
        return teacher
    normalizer = getattr(teacher, "normalizer", None)
    if normalizer is not None:
        normalizer.fit(examples.inputs)
    inputs = torch.from_numpy(examples.inputs)
    labels = torch.from_numpy(examples.labels)

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        del epoch
        logits = teacher(laid_out(task.augment(inputs[indices], generator))).float()
        return functional.cross_entropy(logits, labels[indices], label_smoothing=_LABEL_SMOOTHING)

    def score(part: slice) -> float:
        right = logits_of(teacher, inputs[part]).argmax(1) == labels[part]
        return float(right.float().mean())

    train(
        teacher,
        loss_of,
        count=len(examples),
        recipe=task.teacher_recipe,
        generator=generator,
        progress=progress,
        what="teacher",
        score=score,
    )
    return teacher
