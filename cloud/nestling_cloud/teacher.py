"""Training a task's teacher on the labels."""

import torch
from torch import nn
from torch.nn import functional

from nestling_cloud.errors import CloudError
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.task import Examples, Task
from nestling_cloud.training import laid_out, logits_of, train

_LABEL_SMOOTHING = 0.1


class TeacherError(CloudError):
    """A teacher that does not answer the task's inputs with logits for its classes."""


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
        TeacherError: it does not take the task's inputs, or answers them otherwise.
        TrainingError: the data is too small, or the loss left the finite numbers.
    """
    teacher = task.teacher(task.signature).eval()
    check_answers(task, teacher)
    if task.teacher_recipe is None:
        return teacher
    normalizer = getattr(teacher, "normalizer", None)
    if normalizer is not None:
        normalizer.fit(examples.inputs)
    inputs = torch.from_numpy(examples.inputs)
    labels = torch.from_numpy(examples.labels)

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        del epoch
        logits = teacher(laid_out(task.augment(inputs[indices], generator), teacher)).float()
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


@torch.no_grad()
def check_answers(task: Task, teacher: nn.Module) -> None:
    """Run a teacher on nothing, so that what does not fit is known before it is trained.

    Raises:
        TeacherError: it does not take the task's inputs, or answers them otherwise.
    """
    shape, classes = list(task.signature.shape), len(task.signature.classes)
    try:
        logits = teacher(torch.zeros(2, *shape))
    except Exception as err:  # whatever somebody's network may raise
        raise TeacherError(
            f"task {task.name}: the teacher fails on inputs of {shape}: {err}"
        ) from err
    found = list(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if found != [2, classes]:
        raise TeacherError(
            f"task {task.name}: the teacher answers two inputs with {found}, not with logits "
            f"[2, {classes}]"
        )
