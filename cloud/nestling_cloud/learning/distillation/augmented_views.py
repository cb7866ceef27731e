"""Makes augmented copies of the training data, together with the teacher's answers to them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from nestling_cloud.learning.distillation.features import STORED_DTYPE, answers_of
from nestling_cloud.learning.distillation.outliers import Augment, with_outliers
from nestling_cloud.learning.distillation.view_tensors import (
    ViewTensors,
    check_room,
)
from nestling_cloud.learning.input_tensors import tensors_of
from nestling_cloud.learning.loop import precision
from nestling_cloud.learning.torch_device import CPU, placed, training_device
from nestling_cloud.recipes.distillation import BY_LOGITS, Distillation
from nestling_cloud.tasks.examples import Examples
from nestling_cloud.tasks.inputs import Inputs
from nestling_cloud.tasks.stored_inputs import StoredInputs
from nestling_cloud.tasks.task import Task
from nestling_core.kinds.anomaly import Anomaly
from nestling_core.kinds.kind import Kind
from nestling_core.kinds.labels import SINGLE_LABEL
from nestling_core.kinds.of_signature import kind_of

# A copy of up to so many bytes of float32 is augmented as a whole, and a larger one in parts of
# this size. An augmentation may need ten times as much for a moment.
_WHOLE_BYTES, _PART_BYTES = 200_000_000, 64_000_000


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The data of one training step.

    Attributes:
        inputs: the augmented inputs, (N, *shape).
        kind: the kind of the task, which determines the loss.
        labels: the true answers, (N, ...), as in `nestling_core.kinds.kind`.
        logits: the teacher's outputs, (N, O); None if the teacher is not used.
        features: the teacher's features, as in
            `nestling_cloud.learning.distillation.features.Answers`; None if no loss uses them.
    """

    inputs: torch.Tensor
    labels: torch.Tensor
    logits: torch.Tensor | None = None
    features: torch.Tensor | None = None
    kind: Kind = SINGLE_LABEL


@dataclass(frozen=True, kw_only=True)
class AugmentedViews:
    """Augmented copies of the training data with the teacher's answers to each copy.

    Attributes:
        kind: the kind of the task.
        distillation: the options that choose which of the teacher's outputs are used.
        inputs: the inputs of the V copies, (V, N, *shape).
        labels: the true answers, which all copies share, (N, ...).
        logits: the teacher's outputs, (V, N, O); None if the teacher is not used.
        features: the teacher's features in bfloat16, (V, N, ...); None if no loss uses them.
    """

    distillation: Distillation
    inputs: ViewTensors
    labels: torch.Tensor
    logits: torch.Tensor | None
    features: ViewTensors | None
    kind: Kind = SINGLE_LABEL

    def batch(self, epoch: int, indices: torch.Tensor, device: torch.device = CPU) -> Batch:
        """Return the chosen examples from the copy that is used in an epoch.

        The copies take turns, one per epoch.

        Args:
            epoch: the index of the epoch, from 0.
            indices: the indices of the examples, (N,).
            device: the device that the batch is moved to.
        """
        view = epoch % len(self.inputs)
        return Batch(
            kind=self.kind,
            inputs=self.inputs[view][indices].to(device),
            labels=self.labels[indices].to(device),
            logits=None if self.logits is None else self.logits[view][indices].to(device),
            features=None if self.features is None else self.features[view][indices].to(device),
        )


def make_views(
    task: Task,
    teacher: nn.Module,
    examples: Examples,
    generator: torch.Generator,
    distillation: Distillation = BY_LOGITS,
) -> AugmentedViews:
    """Return augmented copies of the data with the teacher's answers to each copy.

    The teacher is run only if the distillation uses its outputs or its features. In an anomaly
    task, about half of the inputs in each copy are made unusual, so that the student also sees
    what the teacher says of anomalies.

    Args:
        task: the task, which provides the augmentation. The student's recipe decides whether the
            teacher computes in bfloat16.
        teacher: the trained teacher.
        examples: the data to augment.
        generator: the random generator for the augmentation.
        distillation: the number of copies, and which of the teacher's outputs are used.

    Raises:
        TeacherFeatureError: the teacher lacks the feature that the distillation compares.
        ViewsError: the copies do not fit in memory, and the disk has no room for them.
    """
    kind = kind_of(task.signature)
    augment = with_outliers(task.augmented) if isinstance(kind, Anomaly) else task.augmented
    copies = augmented_copies(augment, examples, generator, distillation.views)
    logits, features = None, None
    if distillation.asks_teacher:
        device = training_device()
        shape = task.student.read_shape(task.signature.shape)
        with placed(teacher, device), precision(task.student_recipe, device):
            logits, features = _answers(teacher, copies, distillation, shape)
    return AugmentedViews(
        kind=kind,
        distillation=distillation,
        inputs=copies,
        labels=torch.from_numpy(examples.labels),
        logits=logits,
        features=features,
    )


def augmented_copies(
    augment: Augment, examples: Examples, generator: torch.Generator, views: int
) -> ViewTensors:
    """Return augmented copies of the data, (V, N, *shape).

    If they would take more than `view_tensors.MOST_IN_MEMORY` as float32, they are kept in a
    temporary file, in the type in which the inputs themselves are stored. The values of uint8
    pictures are then clipped to 0 to 1 and rounded to multiples of 1/255. A copy of up to 200 MB is
    augmented as a whole, and a larger one in parts of 64 MB.

    Args:
        augment: the augmentation, as in `Task`.
        examples: the data to augment.
        generator: the random generator for the augmentation.
        views: the number of copies, V.

    Raises:
        ViewsError: the copies do not fit in memory, and the disk has no room for them.
    """
    inputs = tensors_of(examples.inputs)
    copies = ViewTensors(views, inputs.shape[1:], len(inputs), _stored_type(examples.inputs))
    for view in range(views):
        for part in parts_of(inputs.shape):
            copies.put(view, part.start, augment(inputs[part], generator))
    return copies


def check_views_fit(task: Task, examples: Examples) -> None:
    """Raise ViewsError if the disk has no room for the augmented copies that training will make.

    Args:
        task: the task, which sets the number of copies.
        examples: the training data.
    """
    shape = (task.distillation.views, *examples.inputs.shape)
    check_room(shape, _stored_type(examples.inputs))


def _stored_type(inputs: Inputs) -> torch.dtype:
    name = inputs.stored_type.name if isinstance(inputs, StoredInputs) else "float32"
    found: torch.dtype = getattr(torch, name)
    return found


def parts_of(shape: Sequence[int]) -> list[slice]:
    """Return the parts in which inputs of a shape are augmented and answered."""
    count, *row_shape = shape
    row_bytes = 4 * math.prod(row_shape)
    size = count if count * row_bytes <= _WHOLE_BYTES else max(1, _PART_BYTES // row_bytes)
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _answers(
    teacher: nn.Module, copies: ViewTensors, distillation: Distillation, shape: Sequence[int]
) -> tuple[torch.Tensor, ViewTensors | None]:
    """Return the teacher's logits (V, N, classes) and features (V, N, ...) for all copies."""
    logits, features = [], None
    for view, copy in enumerate(copies):
        found = []
        for part in parts_of(copy.shape):
            answer = answers_of(teacher, copy[part], distillation.feature, shape=shape)
            found.append(answer.logits)
            if answer.features is not None:
                if features is None:
                    row = answer.features.shape[1:]
                    features = ViewTensors(len(copies), row, len(copy), STORED_DTYPE)
                features.put(view, part.start, answer.features)
        logits.append(torch.cat(found))
    return torch.stack(logits), features
