"""A task: data, what its inputs and answers are, the teacher, the student, and how both learn."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.errors import CloudError
from nestling_cloud.models.teacher import ConvTeacher
from nestling_cloud.recipes.distillation import Distillation
from nestling_cloud.recipes.nesting import Nesting
from nestling_cloud.recipes.quantization import Quantization
from nestling_cloud.recipes.recipe import Recipe
from nestling_cloud.tasks.user_code_errors import blamed
from nestling_core.student.blocks import Shuffle, SizesError
from nestling_core.student.config import StudentConfig
from nestling_core.student.plan import plan


class TaskError(CloudError):
    """A task that is not to be found, or whose data is not what it says."""


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}")

FEWEST_CALIBRATION = 3
"""Calibration examples of which two are for fitting and one is for thresholds."""

_TRIED = 8

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
        calibration: what neither of them saw; the multiplexer is fitted on its first part,
            thresholds and promises are found on the rest, so keep a subject's inputs together.
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
            again each time, the student from a few augmented copies of the data.
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
        _check_functions(self)
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
            TaskError: `load` or `augment` fails or gives something else; a part is empty, has
                another shape or type than the signature says, is not finite, or has labels outside
                the classes.
        """
        splits = _loaded(self, data_dir, seed)
        _check(self, "train", splits.train)
        _check(self, "calibration", splits.calibration)
        if not splits.test:
            raise TaskError(f"task {self.name}: no test recordings")
        for number, recording in enumerate(splits.test):
            _check(self, f"test[{number}]", recording)
        _check_augment(self, splits.train)
        return splits


def _check_functions(task: Task) -> None:
    """Refuse what is no function where a task needs one."""
    if isinstance(task.teacher, nn.Module):
        raise TaskError(
            f"task {task.name}: teacher is a network, and a function that makes one is needed: "
            "write teacher=lambda signature: network"
        )
    for name in ("load", "teacher", "augment"):
        if not callable(getattr(task, name)):
            raise TaskError(
                f"task {task.name}: {name} is a {type(getattr(task, name)).__name__}, and a "
                "function is needed"
            )


def _loaded(task: Task, data_dir: Path | None, seed: int) -> Splits:
    try:
        splits = task.load(data_dir, seed)
    except CloudError:
        raise
    except Exception as err:  # whatever somebody's function may raise
        raise TaskError(f"task {task.name}: load(data_dir, seed) failed: {blamed(err)}") from err
    if not isinstance(splits, Splits):
        raise TaskError(
            f"task {task.name}: load(data_dir, seed) gave a {type(splits).__name__} and not "
            "Splits; return Splits(train=..., calibration=..., test=[...])"
        )
    return splits


def _check_augment(task: Task, examples: Examples) -> None:
    """Try the augmentation on a few inputs, before a network learns from it."""
    inputs = torch.from_numpy(examples.inputs[:_TRIED])
    where = f"task {task.name}: augment(inputs, generator)"
    try:
        found = task.augment(inputs.clone(), torch.Generator().manual_seed(0))
    except Exception as err:  # whatever somebody's function may raise
        raise TaskError(f"{where} failed: {blamed(err)}") from err
    if not isinstance(found, torch.Tensor):
        raise TaskError(f"{where} gave a {type(found).__name__}; let it return the inputs")
    if (found.shape, found.dtype) != (inputs.shape, inputs.dtype):
        raise TaskError(
            f"{where} makes {found.dtype} {list(found.shape)} of {inputs.dtype} "
            f"{list(inputs.shape)}; let it keep both"
        )
    if not torch.isfinite(found).all():
        raise TaskError(f"{where} makes numbers that are not finite")


def _check(task: Task, part: str, examples: Examples) -> None:
    where = f"task {task.name}, {part}"
    _check_kinds(where, examples)
    if part == "calibration" and len(examples) < FEWEST_CALIBRATION:
        raise TaskError(
            f"{where}: {len(examples)} examples, {FEWEST_CALIBRATION} at least are needed to fit "
            "what routes and to read thresholds off others; a risk guarantee takes hundreds"
        )
    wanted = (len(examples), *task.signature.shape)
    if examples.inputs.shape != wanted or examples.inputs.dtype != np.float32:
        raise TaskError(
            f"{where}: inputs are {examples.inputs.dtype} {examples.inputs.shape}, "
            f"the signature asks for float32 {wanted}"
        )
    bad = np.flatnonzero(~np.isfinite(examples.inputs).reshape(len(examples), -1).all(axis=1))
    if len(bad):
        raise TaskError(
            f"{where}: inputs are not finite, the first of {len(bad)} is inputs[{bad[0]}]; leave "
            "them out or fill the gaps"
        )
    _check_labels(task, part, examples.labels)


def _check_kinds(where: str, examples: Examples) -> None:
    if not isinstance(examples, Examples):
        raise TaskError(
            f"{where}: a {type(examples).__name__} and not Examples; give "
            "Examples(inputs=..., labels=...)"
        )
    for name in ("inputs", "labels"):
        found = getattr(examples, name)
        if not isinstance(found, np.ndarray):
            raise TaskError(
                f"{where}: {name} are a {type(found).__name__} and not a numpy array; "
                "examples_from(loader) makes arrays of what a data loader gives"
            )
    if examples.labels.ndim == 0 or len(examples) == 0:
        raise TaskError(f"{where}: no examples")


def _check_labels(task: Task, part: str, labels: NDArray[np.int64]) -> None:
    where, classes = f"task {task.name}, {part}", len(task.signature.classes)
    if labels.ndim != 1 or labels.dtype != np.int64:
        raise TaskError(
            f"{where}: labels are {labels.dtype} {labels.shape}, int64 ({len(labels)},) is needed"
        )
    if labels.min() < 0 or labels.max() >= classes:
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
