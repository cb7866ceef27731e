import dataclasses

import numpy as np
import pytest
import torch
from tests.tiny_task import TINY_TASK, tiny_splits
from torch import nn

from nestling.student.normalizer import Normalizer
from nestling_cloud.models.teacher import ConvTeacher
from nestling_cloud.progress import Silent
from nestling_cloud.tasks import Signature
from nestling_cloud.teacher import TeacherError, train_teacher
from nestling_cloud.training import seeded


@pytest.mark.parametrize("shape", [[6, 100], [1, 28, 28], [3, 5, 7]])
def test_teacher_answers_windows_and_pictures(shape: list[int]) -> None:
    signature = Signature(shape=shape, classes=["a", "b", "c", "d"])
    teacher = ConvTeacher(signature, width=4).eval()

    assert teacher(torch.zeros(2, *shape)).shape == (2, 4)


@pytest.mark.parametrize("shape", [[6], [1, 4, 4, 4]])
def test_input_of_another_rank_is_refused(shape: list[int]) -> None:
    with pytest.raises(ValueError, match="channels and one or two axes"):
        ConvTeacher(Signature(shape=shape, classes=["a"]))


def test_normalizer_makes_each_channel_of_mean_zero_and_deviation_one() -> None:
    inputs = np.random.default_rng(0).normal([[3.0], [-7.0]], [[2.0], [0.1]], (50, 2, 40))
    normalizer = Normalizer(2, 1)

    normalizer.fit(inputs.astype(np.float32))

    found = normalizer(torch.from_numpy(inputs.astype(np.float32)))
    assert found.mean((0, 2)).tolist() == pytest.approx([0, 0], abs=1e-4)
    assert found.std((0, 2)).tolist() == pytest.approx([1, 1], abs=1e-3)


def test_normalizer_is_the_identity_until_it_is_fitted() -> None:
    inputs = torch.randn(3, 2, 5, 5, generator=torch.Generator().manual_seed(0))

    assert torch.equal(Normalizer(2, 2)(inputs), inputs)


def test_channel_that_never_moves_stays_zero() -> None:
    inputs = np.full((4, 1, 8), 9.81, np.float32)
    normalizer = Normalizer(1, 1)

    normalizer.fit(inputs)

    assert normalizer(torch.from_numpy(inputs)).abs().max().item() < 1.0


class Answers(nn.Module):
    """Answers with so many logits, whatever it is asked."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.head = nn.Linear(1, count)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(x.mean((1, 2))[:, None])
        return logits


@pytest.mark.parametrize(
    ("teacher", "words"),
    [
        (Answers(1), r"answers two inputs with \[2, 1\], not with logits \[2, 3\]"),
        (Answers(5), r"answers two inputs with \[2, 5\]"),
        (nn.Linear(3, 3), r"fails on inputs of \[2, 16\]"),
        (nn.GRU(16, 3, batch_first=True), "answers two inputs with tuple"),
    ],
)
def test_teacher_that_does_not_fit_the_signature_is_refused_before_anything_is_trained(
    teacher: nn.Module, words: str
) -> None:
    task = dataclasses.replace(TINY_TASK, teacher=lambda _signature: teacher, teacher_recipe=None)

    with pytest.raises(TeacherError, match=words):
        train_teacher(task, tiny_splits().train, seeded(0), Silent())
