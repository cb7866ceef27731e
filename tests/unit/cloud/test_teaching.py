"""What is known of a teacher before anything is trained for long."""

import dataclasses
from collections.abc import Callable

import pytest
import torch
from tests.progress import Counted
from tests.tiny_task import TINY_TASK, TinyTeacher, tiny_splits
from torch import nn

from nestling_cloud.adaptation import AdaptationConfig
from nestling_cloud.adaptation.learn import learn_adapted
from nestling_cloud.distillation.features import TeacherFeatureError
from nestling_cloud.errors import CloudError
from nestling_cloud.learning import learn
from nestling_cloud.progress import Progress
from nestling_cloud.tasks import Distillation, Signature, Task
from nestling_cloud.teacher import TeacherError


class Undecided(TinyTeacher):
    """Does one thing or another as the numbers are, which no graph of layers can."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x if float(x.sum()) > 0 else -x)


class Headless(TinyTeacher):
    """Answers with its features."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv(x)).mean(2)


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
        (Flat, TeacherFeatureError, "hints need the last module"),
    ],
)
def test_teacher_that_cannot_teach_or_be_served_is_refused_before_it_is_trained(
    way: Callable[[Task, Progress], None],
    teacher: Callable[[Signature], nn.Module],
    error: type[CloudError],
    words: str,
) -> None:
    hints = Distillation(feature="hints")
    task, progress = dataclasses.replace(TINY_TASK, teacher=teacher, distillation=hints), Counted()

    with pytest.raises(error, match=words):
        way(task, progress)

    assert progress.told == []
