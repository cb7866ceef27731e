"""Unfit teachers are refused before a long training."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from nestling_cloud.cloud_model.check import run_in_batches
from nestling_cloud.cloud_model.model import CloudModel
from nestling_cloud.errors import CloudError
from nestling_cloud.learning.adaptation import AdaptationConfig
from nestling_cloud.learning.adaptation.pipeline import learn_adapted
from nestling_cloud.learning.check_teacher import check_teaching, prepare_to_serve
from nestling_cloud.learning.distillation.features import TeacherFeatureError
from nestling_cloud.learning.loop import seeded
from nestling_cloud.learning.make_teacher import TeacherError
from nestling_cloud.learning.pipeline import learn
from nestling_cloud.learning.train_teacher import train_teacher
from nestling_cloud.progress import Progress
from nestling_cloud.tasks import Distillation, Signature, Task
from tests.support.progress import EpochCounter
from tests.support.tiny_task import TINY_TASK, TinyTeacher, tiny_splits


class Undecided(TinyTeacher):
    """Branches on its input, which an exported graph cannot."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x if float(x.sum()) > 0 else -x)


class Headless(TinyTeacher):
    """Returns its features instead of logits."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv(x)).mean(2)


class Squeezing(TinyTeacher):
    """Drops the batch axis of a single input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).squeeze()


class Double(TinyTeacher):
    """Returns 64-bit logits."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).double()


class Half(TinyTeacher):
    """Returns 16-bit logits."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).half()


class Comparing(TinyTeacher):
    """Compares an input with the others of its batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x - x.mean(0, keepdim=True))


class Overflowing(TinyTeacher):
    """Divides zero by zero."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * 0 / 0


class Flat(nn.Sequential):
    """Has no maps inside."""

    def __init__(self, signature: Signature) -> None:
        super().__init__(nn.Flatten(), nn.Linear(32, len(signature.classes)))


def bundle(task: Task, progress: Progress) -> None:
    learn(task, tiny_splits(), seed=0, progress=progress)


def adapted(task: Task, progress: Progress) -> None:
    splits = tiny_splits()
    target = splits.train.inputs
    learn_adapted(task, splits, target, AdaptationConfig(), seed=0, progress=progress)


@pytest.mark.parametrize("way", [bundle, adapted])
@pytest.mark.parametrize(
    ("teacher", "error", "words"),
    [
        (Undecided, TeacherError, "task tiny: the teacher Undecided cannot be exported to ONNX"),
        (Headless, TeacherError, r"answers two inputs with \[2, 8\]"),
        (Squeezing, TeacherError, r"Squeezing answers one input with \[3\], .* batch axis"),
        (Double, TeacherError, r"Double answers in float64, .* with \.float\(\)"),
        (Half, TeacherError, "Half answers in float16"),
        (Comparing, TeacherError, "gives an input other logits in a batch of 2 than alone"),
        (Overflowing, TeacherError, "inputs with logits that are not finite"),
        (Flat, TeacherFeatureError, "distillation by hints needs a module"),
    ],
)
def test_teacher_that_cannot_teach_or_be_served_is_refused_before_it_is_trained(
    way: Callable[[Task, Progress], None],
    teacher: Callable[[Signature], nn.Module],
    error: type[CloudError],
    words: str,
) -> None:
    hints = Distillation(feature="hints")
    task, progress = (
        dataclasses.replace(TINY_TASK, teacher=teacher, distillation=hints),
        EpochCounter(),
    )

    with pytest.raises(error, match=words):
        way(task, progress)

    assert progress.tracked == []


def failing(_signature: Signature) -> nn.Module:
    raise FileNotFoundError("no such file: 'teacher.pt'")


@pytest.mark.parametrize(
    ("teacher", "words"),
    [
        (
            failing,
            r"no such file: 'teacher.pt' \(test_check_teacher.py, line \d+\)",
        ),
        (lambda _signature: None, "returned None and not a torch.nn.Module"),
        (lambda _a, _b: TinyTeacher(TINY_TASK.signature), r"TypeError: .* positional argument"),
    ],
)
def test_function_that_makes_no_teacher_gives_a_readable_error(
    teacher: Callable[[Signature], nn.Module], words: str
) -> None:
    task = dataclasses.replace(TINY_TASK, teacher=teacher)

    with pytest.raises(TeacherError, match=f"task tiny: teacher.signature. .*{words}"):
        check_teaching(task, tiny_splits().train.inputs)


class Unteachable(TinyTeacher):
    """Answers, but fails in training mode."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            raise RuntimeError("out of patience")
        return super().forward(x)


def test_teacher_that_fails_in_training_gives_a_readable_error() -> None:
    task = dataclasses.replace(TINY_TASK, teacher=Unteachable)

    with pytest.raises(TeacherError, match="Unteachable fails while it is trained: RuntimeError"):
        train_teacher(task, tiny_splits().train, seeded(0), EpochCounter())


def test_trained_teacher_is_measured_as_the_cloud_serves_it() -> None:
    torch.manual_seed(0)
    teacher, calibration = TinyTeacher(TINY_TASK.signature).eval(), tiny_splits().calibration

    cloud, logits = prepare_to_serve(TINY_TASK, teacher, calibration)

    served = run_in_batches(CloudModel("tiny-teacher", cloud.onnx), calibration.inputs)
    assert np.array_equal(logits, served)
    assert cloud.accuracy == (served.argmax(1) == calibration.labels).mean()
