"""Makes, checks and trains a task's teacher."""

from typing import NoReturn

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from nestling_cloud.errors import CloudError
from nestling_cloud.learning.input_tensors import fit_normalizer, tensors_of
from nestling_cloud.learning.loop import logits_of, train, with_channels_last
from nestling_cloud.learning.torch_device import training_device
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.examples import Examples
from nestling_cloud.tasks.inputs import Inputs, rows_of
from nestling_cloud.tasks.task import Task
from nestling_cloud.tasks.user_code_errors import blamed

_LABEL_SMOOTHING = 0.1
_KEEP_THE_AXIS = "; keep the batch axis of one input too (squeeze(-1), not squeeze())"


class TeacherError(CloudError):
    """Raised when a teacher cannot be made or served, or does not map inputs to valid logits."""


def train_teacher(
    task: Task, examples: Examples, generator: torch.Generator, progress: Progress
) -> nn.Module:
    """Return the task's teacher, after training it if the task sets a recipe for the teacher.

    Args:
        task: the task, which makes the teacher and sets its recipe.
        examples: the training data. If the task sets a recipe for the teacher, the teacher's
            `normalizer`, if any, is fitted to this data too.
        generator: the random generator for shuffling and augmentation.
        progress: the progress display, advanced once per epoch.

    Returns:
        The teacher in evaluation mode.

    Raises:
        TeacherError: the teacher cannot be made, fails on the task's inputs, or does not output
            float32 logits (N, classes).
        TrainingError: the data is too small, or the loss or a weight is no longer finite.
    """
    teacher = make_teacher(task)
    check_answers(task, teacher, examples.inputs)
    if task.teacher_recipe is None:
        return teacher
    normalizer = getattr(teacher, "normalizer", None)
    if normalizer is not None:
        fit_normalizer(normalizer, examples.inputs)
    inputs = tensors_of(examples.inputs)
    labels = torch.from_numpy(examples.labels)
    device = training_device()

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        del epoch
        augmented = task.augment(inputs[indices], generator).to(device)
        augmented = with_channels_last(augmented, teacher)
        try:
            logits = teacher(augmented).float()
        except Exception as err:  # noqa: BLE001  a user's network may raise anything
            _refuse(task, teacher, f"fails while it is trained: {blamed(err)}", err)
        return functional.cross_entropy(
            logits, labels[indices].to(device), label_smoothing=_LABEL_SMOOTHING
        )

    def score(part: slice) -> float:
        held_out = tensors_of(rows_of(examples.inputs, part))
        right = logits_of(teacher, held_out).argmax(1) == labels[part]
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
        device=device,
    )
    return teacher


def cloud_model_name(task: Task) -> str:
    """Return the name under which the inference service offers a task's teacher."""
    return f"{task.name}-teacher"


def make_teacher(task: Task) -> nn.Module:
    """Return the task's teacher as the task provides it, in evaluation mode.

    Raises:
        TeacherError: the task's function fails, or does not return a network.
    """
    try:
        made = task.teacher(task.signature)
    except Exception as err:  # a user's function may raise anything
        raise TeacherError(
            f"task {task.name}: teacher(signature) failed to make the teacher: {blamed(err)}"
        ) from err
    if not isinstance(made, nn.Module):
        raise TeacherError(
            f"task {task.name}: teacher(signature) returned {_kind(made)} and not a "
            "torch.nn.Module; return the network"
        )
    return made.eval()


@torch.no_grad()
def check_answers(task: Task, teacher: nn.Module, inputs: Inputs) -> None:
    """Raise TeacherError unless a teacher returns valid logits for one input and for two inputs.

    Args:
        task: the task, which defines the input shape and the classes.
        teacher: the teacher in evaluation mode.
        inputs: at least one input, (N, *shape). The first two are used; a single input is
            repeated.

    Raises:
        TeacherError: the teacher fails on the task's inputs, or does not output float32 logits
            (N, classes).
    """
    shape, classes = list(task.signature.shape), len(task.signature.classes)
    for count, name in ((2, "two inputs"), (1, "one input")):
        rows = torch.from_numpy(np.resize(inputs[:count], (count, *shape)).astype(np.float32))
        try:
            logits = teacher(rows)
        except Exception as err:  # noqa: BLE001  a user's network may raise anything
            _refuse(task, teacher, f"fails on {name} of {shape}: {blamed(err)}", err)
        found = list(logits.shape) if isinstance(logits, torch.Tensor) else _kind(logits)
        if found != [count, classes]:
            advice = _KEEP_THE_AXIS if found == [classes] else ""
            _refuse(
                task,
                teacher,
                f"answers {name} with {found}, not with logits [{count}, {classes}]{advice}",
            )
        if logits.dtype != torch.float32:
            kind = str(logits.dtype).removeprefix("torch.")
            _refuse(
                task,
                teacher,
                f"answers in {kind}, but the cloud serves float32: end its forward with .float()",
            )


def _refuse(
    task: Task, teacher: nn.Module, what: str, cause: BaseException | None = None
) -> NoReturn:
    raise TeacherError(f"task {task.name}: the teacher {type(teacher).__name__} {what}") from cause


def _kind(thing: object) -> str:
    return "None" if thing is None else f"a {type(thing).__name__}"
