"""Checks and trains a task's teacher."""

import math
from typing import NoReturn, Protocol, cast

import numpy as np
import torch
from torch import nn

from nestling_cloud.errors import CloudError
from nestling_cloud.learning.input_tensors import fit_normalizer, split, tensors_of
from nestling_cloud.learning.kind_losses import teacher_loss
from nestling_cloud.learning.loop import TrainingError, logits_of, train, with_channels_last
from nestling_cloud.learning.make_teacher import TeacherError, make_teacher, name_of, outputs_of
from nestling_cloud.learning.onnx.model_ends import gives_probabilities
from nestling_cloud.learning.onnx.onnx_network import OnnxNetwork
from nestling_cloud.learning.torch_device import training_device
from nestling_cloud.models.anomaly_scorer import AnomalyScorer
from nestling_cloud.models.anomaly_teacher import AnomalyTeacher
from nestling_cloud.models.neighbor_teacher import MOST_WINDOWS, NeighborTeacher
from nestling_cloud.models.output_layer import OutputLayer
from nestling_cloud.models.tiny_resnet import MEASURED, TinyResNet
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.examples import Examples
from nestling_cloud.tasks.inputs import Inputs, rows_of
from nestling_cloud.tasks.task import Task
from nestling_cloud.tasks.user_code_errors import blamed
from nestling_core.kinds.anomaly import Anomaly
from nestling_core.kinds.labels import SingleLabel
from nestling_core.kinds.of_signature import kind_of
from nestling_core.kinds.regression import Regression

_MEASURED_TOGETHER = 256
_NO_LOGITS = (
    "answers with probabilities, which add up to 1, and a student learns from logits: remove the "
    "softmax at the end of its forward"
)
_KEEP_THE_AXIS = "; keep the batch axis of one input too (squeeze(-1), not squeeze())"


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
            float32 values (N, O) as the kind of the task asks for.
        TrainingError: the data is too small, or the loss or a weight is no longer finite.
    """
    teacher = make_teacher(task)
    check_answers(task, teacher, examples.inputs)
    if task.teacher_recipe is None or isinstance(teacher, OnnxNetwork):
        return teacher
    if isinstance(teacher, NeighborTeacher):
        _remember(teacher, examples)
        return teacher
    kind = kind_of(task.signature)
    _fit_scales(teacher, examples)
    inputs = tensors_of(examples.inputs)
    labels = torch.from_numpy(examples.labels)
    device = training_device()

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        del epoch
        augmented = task.augmented(inputs[indices], generator).to(device)
        augmented = with_channels_last(augmented, teacher)
        try:
            if isinstance(kind, Anomaly):
                return _own_loss(teacher, augmented, labels[indices].to(device))
            outputs = teacher(augmented).float()
        except Exception as err:  # noqa: BLE001  a user's network may raise anything
            _refuse(task, teacher, f"fails while it is trained: {blamed(err)}", err)
        return teacher_loss(kind, outputs, labels[indices].to(device))

    def score(part: slice) -> float:
        held_out = tensors_of(rows_of(examples.inputs, part))
        answers = kind.answers(logits_of(teacher, held_out).numpy())
        return float(kind.success(answers, examples.labels[part]).mean())

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
    if isinstance(teacher, AnomalyTeacher):
        normal = tensors_of(rows_of(examples.inputs, examples.labels == 0))
        teacher.fit_usual_errors(split(normal, _MEASURED_TOGETHER))
    return teacher


def _remember(teacher: NeighborTeacher, examples: Examples) -> None:
    """Show a teacher normal windows, evenly spaced if there are many, and their recordings."""
    normal = np.flatnonzero(examples.labels == 0)
    chosen = normal[:: math.ceil(len(normal) / MOST_WINDOWS) or 1]
    ends = np.cumsum(examples.lengths or np.ones(len(examples), np.int64))
    try:
        teacher.fit(examples.inputs[chosen], np.searchsorted(ends, chosen, side="right"))
    except ValueError as err:
        raise TrainingError(f"teacher: {err}; give more") from err


def fit_threshold(teacher: nn.Module, calibration: Examples) -> None:
    """Set the threshold of an anomaly task's built-in teacher; do nothing for other teachers.

    Args:
        teacher: the trained teacher.
        calibration: examples that it was not trained on.
    """
    if isinstance(teacher, AnomalyScorer):
        scores = logits_of(teacher, tensors_of(calibration.inputs))
        teacher.fit_threshold(scores, torch.from_numpy(calibration.labels))


class _LearnsByItself(Protocol):
    """A teacher with a loss of its own, which the teacher of an anomaly task needs."""

    def training_loss(self, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss for a batch of inputs, a scalar."""
        ...


def _own_loss(teacher: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return cast("_LearnsByItself", teacher).training_loss(inputs, labels)


def _fit_scales(teacher: nn.Module, examples: Examples) -> None:
    """Fit the layers that scale a teacher's inputs and outputs, if it has any, to training data."""
    normalizer = getattr(teacher, "normalizer", None)
    if normalizer is not None:
        fit_normalizer(normalizer, examples.inputs)
    for layer in teacher.modules():
        if isinstance(layer, OutputLayer):
            layer.fit(examples.labels)
        elif isinstance(layer, TinyResNet):
            layer.fit(examples.inputs[:MEASURED])


def cloud_model_name(task: Task) -> str:
    """Return the name under which the inference service offers a task's teacher."""
    return f"{task.name}-teacher"


@torch.no_grad()
def check_answers(task: Task, teacher: nn.Module, inputs: Inputs) -> None:
    """Raise TeacherError unless a teacher returns valid outputs for one input and for two inputs.

    Args:
        task: the task, which defines the input shape and the classes.
        teacher: the teacher in evaluation mode.
        inputs: at least one input, (N, *shape). The first two are used; a single input is
            repeated.

    Raises:
        TeacherError: the teacher fails on the task's inputs, or does not output float32 values
            (N, O), as the kind of the task asks for.
    """
    shape, outputs = list(task.signature.shape), outputs_of(task)
    for count, name in ((2, "two inputs"), (1, "one input")):
        rows = torch.from_numpy(np.resize(inputs[:count], (count, *shape)).astype(np.float32))
        try:
            logits = teacher(rows)
        except CloudError:  # an ONNX teacher says itself what is wrong
            raise
        except Exception as err:  # noqa: BLE001  a user's network may raise anything
            _refuse(task, teacher, f"fails on {name} of {shape}: {blamed(err)}", err)
        found = list(logits.shape) if isinstance(logits, torch.Tensor) else _kind(logits)
        if found != [count, outputs]:
            advice = _KEEP_THE_AXIS if found == [outputs] else ""
            _refuse(
                task,
                teacher,
                f"answers {name} with {found}, not with {what_it_returns(task)} "
                f"[{count}, {outputs}]{advice}",
            )
        if logits.dtype != torch.float32:
            kind = str(logits.dtype).removeprefix("torch.")
            _refuse(
                task,
                teacher,
                f"answers in {kind}, but the cloud serves float32: end its forward with .float()",
            )
        single = isinstance(kind_of(task.signature), SingleLabel)
        if single and gives_probabilities(logits.numpy()):
            _refuse(task, teacher, _NO_LOGITS)


def what_it_returns(task: Task) -> str:
    """Return the name of what a task's teacher returns for inputs, in words."""
    match kind_of(task.signature):
        case Regression():
            return "values"
        case Anomaly():
            return "logarithms of scores"
        case _:
            return "logits"


def _refuse(
    task: Task, teacher: nn.Module, what: str, cause: BaseException | None = None
) -> NoReturn:
    raise TeacherError(f"task {task.name}: the teacher {name_of(teacher)} {what}") from cause


def _kind(thing: object) -> str:
    return "None" if thing is None else f"a {type(thing).__name__}"
