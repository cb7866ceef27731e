import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from nestling_cloud.learning.distillation import make_views
from nestling_cloud.learning.loop import logits_of, seeded
from nestling_cloud.learning.make_teacher import TeacherError
from nestling_cloud.learning.train_teacher import train_teacher
from nestling_cloud.models.teacher import ConvTeacher
from nestling_cloud.progress import SilentProgress
from nestling_cloud.tasks import Distillation, Examples, Recipe, Signature
from nestling_core.student.normalizer import Normalizer
from tests.support.progress import EpochCounter
from tests.support.tiny_task import TINY_TASK, tiny_splits


@pytest.mark.parametrize("shape", [[6, 100], [1, 28, 28], [3, 5, 7]])
def test_teacher_answers_windows_and_images(shape: list[int]) -> None:
    signature = Signature(shape=shape, classes=["a", "b", "c", "d"])
    teacher = ConvTeacher(signature, width=4).eval()

    assert teacher(torch.zeros(2, *shape)).shape == (2, 4)


@pytest.mark.parametrize("shape", [[6], [1, 4, 4, 4]])
def test_input_of_another_rank_is_refused(shape: list[int]) -> None:
    with pytest.raises(ValueError, match="channels and one or two more axes"):
        ConvTeacher(Signature(shape=shape, classes=["a"]))


def test_normalizer_gives_each_channel_mean_zero_and_deviation_one() -> None:
    inputs = np.random.default_rng(0).normal([[3.0], [-7.0]], [[2.0], [0.1]], (50, 2, 40))
    normalizer = Normalizer(2, 1)

    normalizer.fit(inputs.astype(np.float32))

    found = normalizer(torch.from_numpy(inputs.astype(np.float32)))
    assert found.mean((0, 2)).tolist() == pytest.approx([0, 0], abs=1e-4)
    assert found.std((0, 2)).tolist() == pytest.approx([1, 1], abs=1e-3)


def test_normalizer_is_the_identity_until_it_is_fitted() -> None:
    inputs = torch.randn(3, 2, 5, 5, generator=torch.Generator().manual_seed(0))

    assert torch.equal(Normalizer(2, 2)(inputs), inputs)


def test_constant_channel_becomes_zero() -> None:
    inputs = np.full((4, 1, 8), 9.81, np.float32)
    normalizer = Normalizer(1, 1)

    normalizer.fit(inputs)

    assert normalizer(torch.from_numpy(inputs)).abs().max().item() < 1.0


class Answers(nn.Module):
    """Answers any input with a given number of logits."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.head = nn.Linear(1, count)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(x.mean((1, 2))[:, None])
        return logits


class Forgetful(nn.Module):
    """Uses a layer that it does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers["head"](x)
        return logits


@pytest.mark.parametrize(
    ("teacher", "words"),
    [
        (Forgetful(), r"Forgetful fails on two inputs of \[2, 16\]: KeyError: 'head'"),
        (Answers(1), r"answers two inputs with \[2, 1\], not with logits \[2, 3\]"),
        (Answers(5), r"answers two inputs with \[2, 5\]"),
        (nn.Linear(3, 3), r"Linear fails on two inputs of \[2, 16\]"),
        (nn.GRU(16, 3, batch_first=True), "answers two inputs with a tuple"),
    ],
)
def test_teacher_that_does_not_fit_the_signature_is_refused_before_anything_is_trained(
    teacher: nn.Module, words: str
) -> None:
    task = dataclasses.replace(TINY_TASK, teacher=lambda _signature: teacher, teacher_recipe=None)

    with pytest.raises(TeacherError, match=words):
        train_teacher(task, tiny_splits().train, seeded(0), SilentProgress())


class Flat(nn.Module):
    """Convolutions, then a flattening that depends on the order in memory, as in many networks."""

    def __init__(self, signature: Signature) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(signature.shape[0], 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1)
        )
        self.head = nn.Linear(4 * 6 * 5, len(signature.classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.layers(x).view(len(x), -1))
        return logits


PICTURES = dataclasses.replace(
    TINY_TASK,
    signature=Signature(shape=[3, 6, 5], channels=["r", "g", "b"], classes=["dark", "light"]),
    teacher=Flat,
    teacher_recipe=Recipe(epochs=8, batch=16, learning_rate=0.01),
    distillation=Distillation(feature="hints", views=2),
)


def shades(count: int) -> Examples:
    labels = np.arange(count) % 2
    noise = np.random.default_rng(0).normal(scale=0.1, size=(count, 3, 6, 5))
    return Examples(inputs=(noise + labels[:, None, None, None]).astype(np.float32), labels=labels)


@pytest.mark.parametrize("trained", [False, True])
def test_teacher_of_images_may_depend_on_the_order_in_memory(trained: bool) -> None:
    recipe = None if trained else PICTURES.teacher_recipe
    task, examples = dataclasses.replace(PICTURES, teacher_recipe=recipe), shades(64)

    teacher = train_teacher(task, examples, seeded(0), SilentProgress())
    views = make_views(task, teacher, examples, seeded(0), task.distillation)

    assert views.features is not None
    right = logits_of(teacher, torch.from_numpy(examples.inputs)).argmax(1).numpy()
    assert trained or (right == examples.labels).all()


def test_built_in_teacher_gets_images_with_channels_last() -> None:
    seen: list[torch.Tensor] = []
    teacher = ConvTeacher(PICTURES.signature, width=4)
    teacher.register_forward_pre_hook(lambda _, given: seen.append(given[0]))

    logits_of(teacher, torch.zeros(2, 3, 6, 5))

    assert seen[0].is_contiguous(memory_format=torch.channels_last)


def test_teacher_training_stops_when_patience_has_run_out() -> None:
    recipe = Recipe(epochs=20, batch=64, learning_rate=1e-12, patience=2)  # nothing gets better
    progress = EpochCounter()

    task = dataclasses.replace(TINY_TASK, teacher_recipe=recipe)
    train_teacher(task, tiny_splits().train, seeded(0), progress)

    assert progress.epochs == 3
