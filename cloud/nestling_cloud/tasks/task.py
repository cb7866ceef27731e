"""A task: data, what its inputs and answers are, the teacher, the student, and how both learn."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nestling.student.blocks import Shuffle, SizesError
from nestling.student.config import StudentConfig
from nestling.student.plan import plan
from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.errors import CloudError
from nestling_cloud.models.teacher import ConvTeacher
from nestling_cloud.recipes.distillation import Distillation
from nestling_cloud.recipes.nesting import Nesting
from nestling_cloud.recipes.quantization import Quantization
from nestling_cloud.recipes.recipe import Recipe


class TaskError(CloudError):
    """A task that is not to be found, or whose data is not what it says."""


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}")

Augment = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Inputs with their labels, in the order in which they were recorded.

    Attributes:
        inputs: float32, (N, *signature.shape), in the signature's units.
        labels: int64, (N,), class indices.
    """

    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        """Number of inputs."""
        return len(self.labels)


def concatenate(parts: Sequence[Examples]) -> Examples:
    """Put examples one after another."""
    return Examples(
        inputs=np.concatenate([part.inputs for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
    )


@dataclass(frozen=True, kw_only=True)
class Splits:
    """A task's data in three parts that share no subject.

    Attributes:
        train: what teacher and student learn from.
        calibration: what neither of them saw; the multiplexer is fitted on its first part, prices
            and promises are found on the rest, so keep a subject's inputs together.
        test: whole recordings, dealt to devices as streams; nothing is chosen by them.
    """

    train: Examples
    calibration: Examples
    test: Sequence[Examples]


def _no_augment(inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    del generator
    return inputs


@dataclass(frozen=True, kw_only=True)
class Task:
    """What Nestling needs to know of a problem.

    Attributes:
        name: short and stable, it names bundles.
        signature: shape, channels and units of an input, and the classes.
        load: `(data_dir, seed) -> Splits`; `data_dir` is None unless the user names one.
        student: the nested student's family and sizes.
        teacher: makes an untrained `(N, *shape) -> (N, classes)` network; by default a residual
            convolutional network that fits the signature.
        teacher_recipe: how the teacher learns; None for one that comes trained.
        student_recipe: how long the student learns.
        distillation: what it learns from the teacher.
        nesting: how its capacities learn together.
        quantization: how they are rounded.
        augment: `(inputs, generator) -> inputs`; the teacher learns from batches that are augmented
            anew each time, the student from a few augmented copies of the data.
    """

    name: str
    signature: Signature
    load: Callable[[Path | None, int], Splits]
    student: StudentConfig
    teacher: Callable[[Signature], nn.Module] = ConvTeacher
    teacher_recipe: Recipe | None = field(default_factory=lambda: Recipe(epochs=8))
    student_recipe: Recipe = field(default_factory=lambda: Recipe(epochs=8))
    distillation: Distillation = field(default_factory=Distillation)
    nesting: Nesting = field(default_factory=Nesting)
    quantization: Quantization = field(default_factory=Quantization)
    augment: Augment = _no_augment

    def __post_init__(self) -> None:
        """Refuse at once what would only fail after training."""
        if not _NAME.fullmatch(self.name):
            raise TaskError(
                f"task name {self.name!r}: use up to 50 letters, digits, dots, dashes and "
                "underscores, starting with a letter or digit"
            )
        if len(self.signature.shape) not in {2, 3} or 0 in self.signature.shape:
            raise TaskError(
                f"task {self.name}: an input has channels and one or two axes, "
                f"not the shape {list(self.signature.shape)}"
            )
        if len(self.signature.classes) < 2:
            raise TaskError(f"task {self.name}: a task needs two classes or more")
        try:
            plan(self.signature, self.student)
        except SizesError as err:
            raise TaskError(f"task {self.name}, student: {err}") from err
        shuffled = any(isinstance(block, Shuffle) for block in self.student.blocks)
        if self.nesting.way == "grow" and shuffled:
            raise TaskError(
                f"task {self.name}: a student with shuffles cannot be grown, because it is ranked "
                "by channels that a shuffle deals out by their places; nest it jointly"
            )

    def load_checked(self, data_dir: Path | None, seed: int) -> Splits:
        """Load the data and hold it against the signature.

        Raises:
            TaskError: a part is empty, has another shape or type than the signature says, is not
                finite, or has labels outside the classes.
        """
        splits = self.load(data_dir, seed)
        _check(self, "train", splits.train)
        _check(self, "calibration", splits.calibration)
        if not splits.test:
            raise TaskError(f"task {self.name}: no test recordings")
        for number, recording in enumerate(splits.test):
            _check(self, f"test[{number}]", recording)
        return splits


def _check(task: Task, part: str, examples: Examples) -> None:
    where = f"task {task.name}, {part}"
    if len(examples) == 0:
        raise TaskError(f"{where}: no examples")
    wanted = (len(examples), *task.signature.shape)
    if examples.inputs.shape != wanted or examples.inputs.dtype != np.float32:
        raise TaskError(
            f"{where}: inputs are {examples.inputs.dtype} {examples.inputs.shape}, "
            f"the signature asks for float32 {wanted}"
        )
    if not np.isfinite(examples.inputs).all():
        raise TaskError(f"{where}: inputs are not finite")
    labels = examples.labels
    if labels.shape != (len(examples),) or labels.dtype != np.int64:
        raise TaskError(
            f"{where}: labels are {labels.dtype} {labels.shape}, int64 ({len(examples)},) is needed"
        )
    classes = len(task.signature.classes)
    if examples.labels.min() < 0 or examples.labels.max() >= classes:
        raise TaskError(f"{where}: labels must be 0 to {classes - 1}")
    found = np.unique(labels)
    if part == "train" and len(found) == 1:
        raise TaskError(
            f"{where}: every label is {task.signature.classes[found[0]]!r}: nothing can be told "
            "apart; give examples of two classes or more"
        )
    empty = [name for index, name in enumerate(task.signature.classes) if index not in found]
    if part == "train" and empty:
        raise TaskError(
            f"{where}: no example of {', '.join(map(repr, empty))}: give some, or leave the class "
            "out of the signature"
        )
