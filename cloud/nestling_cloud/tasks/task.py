"""Defines what a task is, and checks tasks and their data before anything is trained.

A task consists of data, the signature (the input's shape and what an answer is), the teacher, the
student, and the options of their training.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.export import ExportedProgram

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.errors import CloudError
from nestling_cloud.models.default_teacher import default_teacher
from nestling_cloud.models.onnx_teacher import OnnxTeacher
from nestling_cloud.recipes.distillation import Distillation
from nestling_cloud.recipes.nesting import Nesting
from nestling_cloud.recipes.quantization import Quantization
from nestling_cloud.recipes.recipe import Recipe
from nestling_cloud.tasks.examples import Examples, Splits
from nestling_cloud.tasks.inputs import not_finite
from nestling_cloud.tasks.keep_inputs import KEPT, KeepInputs, default_for
from nestling_cloud.tasks.label_check import label_fault
from nestling_cloud.tasks.sample import sample
from nestling_cloud.tasks.stored_inputs import StoredInputs
from nestling_cloud.tasks.user_code_errors import users_code
from nestling_core.kinds.kind import KindError, name_of
from nestling_core.kinds.labels import SingleLabel
from nestling_core.kinds.of_signature import kind_of
from nestling_core.student.blocks import Shuffle, SizesError
from nestling_core.student.config import StudentConfig
from nestling_core.student.plan import plan


class TaskError(CloudError):
    """Raised when a task is not found, or its name, data, signature or functions are invalid."""


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}")

FEWEST_CALIBRATION = 3
"""The fewest calibration examples: two for fitting the multiplexer and one for thresholds."""

_TRIED = 8  # inputs that the augmentation is tried on

# A teacher that is there already, or a function that makes it.
_MadeTeacher = nn.Module | OnnxTeacher | ExportedProgram | Path | str
Teacher = _MadeTeacher | Callable[[Signature], _MadeTeacher]

DEFAULT_TEACHER_RECIPE = Recipe(epochs=8)
"""How a teacher is trained unless the task says otherwise."""

Augment = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


def _no_augment(inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    del generator
    return inputs


@dataclass(frozen=True, kw_only=True)
class Task:
    """Everything that Nestling needs to know about a problem.

    Attributes:
        name: a short, stable name, which is stored in the task's bundles.
        signature: the shape, channels and units of an input, the kind of the task, and its
            classes or values.
        load: a function `(data_dir, seed) -> Splits`, where `data_dir` is the folder that the user
            names, or None, and `seed` is the random seed of the split.
        student: the blocks and widths of the nested student.
        teacher: a function `(signature) -> teacher` or `() -> teacher`, a class of networks, or
            the teacher itself. The teacher is a network that maps inputs (N, *shape) to the outputs
            that the kind of the task asks for, for example logits (N, classes); or an
            `OnnxTeacher`, a program made by `torch.export`, or the path of an .onnx or .pt2 file.
            The default is an untrained network that fits the signature: an autoencoder in an
            anomaly task, otherwise a residual convolutional network, either with the student's
            front end.
        teacher_recipe: the options of the teacher's training; None if the teacher is a network that
            is already trained. Files and exported programs are never trained.
        student_recipe: the options of the student's training.
        distillation: the options for what the student learns from the teacher.
        nesting: the options for nesting the student's capacities (sizes) in one another.
        quantization: the options for quantizing the student to int8.
        wire_tolerance: the largest accepted drop, from 0 to 1, of the teacher's mean probability of
            the true class when inputs are sent in fewer bytes. The default is a tenth of a
            percentage point.
        augment: a function `(inputs, generator) -> inputs` that returns a randomly changed tensor
            of the same shape and type. The teacher is trained on batches that are augmented again
            each time, and the student on a few augmented copies of the data.
        quick: whether the task was shortened by `quick_task`. `load_checked` then returns a sample
            of the data, and every bundle of the task is marked as quick.
        keep_inputs: which of the inputs that devices send to the cloud it may store, with a label
            if somebody gives one. "none": no input. "hard": those that were sent because they were
            hard, at once or later, but none that was drawn for an audit. "audited": those drawn at
            random for an audit, and no other. None, the default, is "none" for pictures and sounds
            and "hard" for other arrays. The bundle carries it, and no device can change it.
    """

    name: str
    signature: Signature
    load: Callable[[Path | None, int], Splits]
    student: StudentConfig
    teacher: Teacher = default_teacher
    teacher_recipe: Recipe | None = DEFAULT_TEACHER_RECIPE
    student_recipe: Recipe = field(default_factory=lambda: Recipe(epochs=8))
    distillation: Distillation = field(default_factory=Distillation)
    nesting: Nesting = field(default_factory=Nesting)
    quantization: Quantization = field(default_factory=Quantization)
    wire_tolerance: float = 0.001
    augment: Augment = _no_augment
    quick: bool = False
    keep_inputs: KeepInputs | None = None

    @property
    def stored_inputs(self) -> KeepInputs:
        """Which offloaded inputs a cloud may store: `keep_inputs`, or its default."""
        if self.keep_inputs is not None:
            return self.keep_inputs
        return default_for(self.signature)

    def __post_init__(self) -> None:
        """Raise TaskError for values that would otherwise cause an error during or after training.

        Raises:
            TaskError: the name, the signature, a function, the student or the nesting is invalid.
        """
        if not _NAME.fullmatch(self.name):
            raise TaskError(
                f"task name {self.name!r} is not valid: use up to 50 letters, digits, dots, dashes "
                "and underscores, starting with a letter or digit"
            )
        if len(self.signature.shape) not in {2, 3} or 0 in self.signature.shape:
            raise TaskError(
                f"task {self.name}: the signature's shape must be channels and one or two more "
                f"axes, all above 0, not {list(self.signature.shape)}"
            )
        try:
            kind_of(self.signature)
        except KindError as err:
            raise TaskError(f"task {self.name}: {err}") from err
        if not 0 <= self.wire_tolerance <= 1:
            raise TaskError(
                f"task {self.name}: wire_tolerance must be from 0 to 1, not {self.wire_tolerance}"
            )
        if self.keep_inputs is not None and self.keep_inputs not in KEPT:
            raise TaskError(
                f"task {self.name}: keep_inputs must be one of {', '.join(KEPT)}, not "
                f"{self.keep_inputs!r}"
            )
        _check_functions(self)
        try:
            plan(self.signature, self.student)
        except SizesError as err:
            raise TaskError(f"task {self.name}, student: {err}") from err
        if self.nesting.way == "grow" and name_of(self.signature) != SingleLabel.name:
            raise TaskError(
                f"task {self.name}: nesting by 'grow' ranks filters by classes and works only with "
                "single-label tasks; use Nesting(way='joint')"
            )
        shuffled = any(isinstance(block, Shuffle) for block in self.student.blocks)
        if self.nesting.way == "grow" and shuffled:
            raise TaskError(
                f"task {self.name}: a student with Shuffle blocks cannot be nested by 'grow', "
                "which reorders channels by rank, while a shuffle permutes them by position; use "
                "Nesting(way='joint')"
            )

    def load_checked(self, data_dir: Path | None, seed: int) -> Splits:
        """Return the task's data after checking it against the signature.

        This also tries the augmentation on a few inputs.

        Args:
            data_dir: the folder of the data files; None to let the task find the files.
            seed: the random seed of the split.

        Raises:
            TaskError: `load` or `augment` fails or returns a wrong value; a part of the data is too
                small, does not match the signature in shape or type, has values that are not
                finite, or has labels outside the classes; or the training part has no examples of
                a class.
        """
        splits = _loaded(self, data_dir, seed)
        _check(self, "train", splits.train)
        _check(self, "calibration", splits.calibration)
        if not splits.test:
            raise TaskError(f"task {self.name}: no test recordings")
        for number, recording in enumerate(splits.test):
            _check(self, f"test[{number}]", recording)
        self.augmented(torch.from_numpy(splits.train.inputs[:_TRIED]), torch.Generator())
        return sample(splits) if self.quick else splits

    def augmented(self, inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return randomly changed inputs, after checking what the user's `augment` made of them.

        Args:
            inputs: the inputs, (N, *shape), which stay as they are.
            generator: the random generator.

        Raises:
            TaskError: `augment` fails, or it returns a tensor of another shape or type, or with
                values that are not finite.
        """
        what = f"task {self.name}: augment(inputs, generator)"
        with users_code(what, TaskError):
            result = self.augment(inputs.clone(), generator)
        if not isinstance(result, torch.Tensor):
            raise TaskError(
                f"{what} returned a {type(result).__name__}; return the augmented inputs as a "
                "tensor"
            )
        if (result.shape, result.dtype) != (inputs.shape, inputs.dtype):
            raise TaskError(
                f"{what} turned {inputs.dtype} {list(inputs.shape)} into {result.dtype} "
                f"{list(result.shape)}; keep type and shape"
            )
        if not torch.isfinite(result).all():
            raise TaskError(f"{what} returned values that are not finite")
        return result


def _check_functions(task: Task) -> None:
    for name in ("load", "augment"):
        given = getattr(task, name)
        if not callable(given):
            advice = "; write load=lambda data_dir, seed: ..." if isinstance(given, Splits) else ""
            raise TaskError(
                f"task {task.name}: {name} must be a function, not a {type(given).__name__}{advice}"
            )
    if not (callable(task.teacher) or isinstance(task.teacher, _MadeTeacher)):
        raise TaskError(
            f"task {task.name}: teacher must be a function, a network, or an .onnx or .pt2 file, "
            f"not a {type(task.teacher).__name__}"
        )


def _loaded(task: Task, data_dir: Path | None, seed: int) -> Splits:
    what = f"task {task.name}: load(data_dir, seed)"
    with users_code(what, TaskError):
        splits = task.load(data_dir, seed)
    if not isinstance(splits, Splits):
        raise TaskError(
            f"{what} returned a {type(splits).__name__}, not Splits; return "
            "Splits(train=..., calibration=..., test=[...])"
        )
    return splits


def _check(task: Task, part: str, examples: Examples) -> None:
    where = f"task {task.name}, {part}"
    _check_kinds(where, examples)
    if part == "calibration" and len(examples) < FEWEST_CALIBRATION:
        raise TaskError(
            f"{where}: {len(examples)} examples are too few: fitting the multiplexer and its "
            f"thresholds needs at least {FEWEST_CALIBRATION}, and a tolerated risk 125"
        )
    wanted = (len(examples), *task.signature.shape)
    if examples.inputs.shape != wanted or examples.inputs.dtype != np.float32:
        raise TaskError(
            f"{where}: inputs are {examples.inputs.dtype} {examples.inputs.shape}, "
            f"the signature requires float32 {wanted}"
        )
    bad = not_finite(examples.inputs)
    if len(bad):
        raise TaskError(
            f"{where}: {len(bad)} inputs have values that are not finite, the first is "
            f"inputs[{bad[0]}]; remove them or fill the gaps"
        )
    kind, classes = kind_of(task.signature), task.signature.classes
    fault = label_fault(kind, classes, examples.labels, trained_on=part == "train")
    if fault is not None:
        raise TaskError(f"{where}: {fault}")
    if examples.lengths and (min(examples.lengths) < 1 or sum(examples.lengths) != len(examples)):
        raise TaskError(
            f"{where}: lengths must be the numbers of inputs of all recordings, and add up to "
            f"{len(examples)}; join the recordings with concatenate"
        )


def _check_kinds(where: str, examples: Examples) -> None:
    if not isinstance(examples, Examples):
        raise TaskError(
            f"{where} is a {type(examples).__name__}, not Examples; use "
            "Examples(inputs=..., labels=...)"
        )
    for name in ("inputs", "labels"):
        array = getattr(examples, name)
        if not isinstance(array, (np.ndarray, StoredInputs) if name == "inputs" else np.ndarray):
            raise TaskError(
                f"{where}: {name} are a {type(array).__name__}, not a numpy array; "
                "examples_from(loader) converts the batches of a data loader"
            )
    if examples.labels.ndim == 0 or len(examples) == 0:
        raise TaskError(f"{where}: no examples")
