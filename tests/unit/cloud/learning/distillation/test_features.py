from collections.abc import Callable

import pytest
import torch
from torch import nn

from nestling_cloud.learning.distillation.features import (
    TeacherFeatureError,
    answers_of,
)
from nestling_cloud.models.teacher import ConvTeacher
from nestling_cloud.recipes.distillation import Feature
from nestling_cloud.tasks import Signature

WINDOWS = torch.randn(5, 2, 16, generator=torch.Generator().manual_seed(0))
PICTURES = torch.randn(5, 3, 12, 10, generator=torch.Generator().manual_seed(0))


def conv_teacher(inputs: torch.Tensor) -> ConvTeacher:
    signature = Signature(shape=inputs.shape[1:], classes=["a", "b", "c"])
    return ConvTeacher(signature, width=4).eval()


def features_of(teacher: nn.Module, inputs: torch.Tensor, feature: Feature) -> torch.Tensor:
    found = answers_of(teacher, inputs, feature, batch=2).features
    assert found is not None
    return found.float()


@pytest.mark.parametrize("inputs", [WINDOWS, PICTURES])
@torch.no_grad()
def test_default_teacher_gives_its_last_map_attention_and_embedding(inputs: torch.Tensor) -> None:
    teacher = conv_teacher(inputs)
    last = teacher.body(inputs)

    expected: dict[Feature, torch.Tensor] = {
        "hints": last,
        "attention": last.square().mean(1, keepdim=True),
        "angular": last.flatten(2).mean(2),
    }

    for feature, value in expected.items():
        assert torch.allclose(features_of(teacher, inputs, feature), value, rtol=0.01, atol=1e-5)


@torch.no_grad()
def test_logits_are_the_teachers_in_evaluation_mode() -> None:
    teacher = conv_teacher(WINDOWS)
    expected = teacher(WINDOWS)

    answers = answers_of(teacher.train(), WINDOWS, "none", batch=2)

    assert torch.allclose(answers.logits, expected, atol=1e-6)
    assert answers.features is None


def test_features_are_stored_in_two_bytes_with_the_range_of_float32() -> None:
    teacher = nn.Sequential(nn.Conv1d(2, 3, 1, bias=False), nn.Flatten(), nn.Linear(48, 3))
    nn.init.constant_(teacher[0].weight, 1e6)  # type: ignore[arg-type]

    features = answers_of(teacher, WINDOWS, "hints").features

    assert features is not None
    assert features.element_size() == 2
    assert features.isfinite().all()


@torch.no_grad()
def test_pooled_map_of_one_position_is_not_captured_as_a_map() -> None:
    body = nn.Conv2d(3, 4, 3)
    teacher = nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))

    assert torch.allclose(features_of(teacher, PICTURES, "hints"), body(PICTURES), rtol=0.01)


@torch.no_grad()
def test_embedding_is_the_input_of_the_last_of_several_linear_layers() -> None:
    early = nn.Sequential(nn.Flatten(), nn.Linear(32, 6), nn.Tanh())
    teacher = nn.Sequential(early, nn.Linear(6, 3))

    assert torch.allclose(features_of(teacher, WINDOWS, "angular"), early(WINDOWS), rtol=0.01)


class SharedRectifier(nn.Module):
    """Uses one ReLU for a map and an embedding, and registers its layers in reverse order."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)
        self.rectifier = nn.ReLU()
        self.hidden = nn.Linear(4, 6)
        self.body = nn.Conv1d(2, 4, 3)

    def embedding(self, x: torch.Tensor) -> torch.Tensor:
        pooled = self.rectifier(self.body(x)).mean(2)
        rectified: torch.Tensor = self.rectifier(self.hidden(pooled))
        return rectified

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.embedding(x))
        return logits


@torch.no_grad()
def test_last_features_are_those_that_ran_last_not_those_registered_last() -> None:
    teacher = SharedRectifier()
    expected = torch.relu(teacher.body(WINDOWS))

    assert torch.allclose(features_of(teacher, WINDOWS, "hints"), expected, rtol=0.01)
    embedding = teacher.embedding(WINDOWS)
    assert torch.allclose(features_of(teacher, WINDOWS, "angular"), embedding, rtol=0.01)


class Normalized(nn.Module):
    """Has no inner map but the scaled input, which is nothing to learn from."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normalized: torch.Tensor = self.norm(x)
        return normalized.mean(2)


LACKING: list[tuple[Callable[[], nn.Module], Feature, str]] = [
    (Normalized, "angular", "the teacher's last nn.Linear, .* this teacher runs none"),
    (Normalized, "hints", "distillation by hints needs a module .* this teacher has none"),
    (Normalized, "attention", "distillation by attention needs a module"),
    (lambda: nn.Sequential(nn.Flatten(), nn.Linear(32, 3)), "hints", "this teacher has none"),
    (lambda: nn.Sequential(nn.Linear(16, 3)), "angular", "this teacher runs none"),
]


@pytest.mark.parametrize(("make", "feature", "words"), LACKING)
def test_teacher_that_lacks_the_feature_is_refused_before_it_is_trained(
    make: Callable[[], nn.Module], feature: Feature, words: str
) -> None:
    with pytest.raises(TeacherFeatureError, match=words):
        answers_of(make(), torch.zeros(1, 2, 16), feature)


@pytest.mark.parametrize("feature", ["none", "hints", "attention", "angular"])
def test_teacher_with_every_feature_passes_and_keeps_no_hooks(feature: Feature) -> None:
    teacher = conv_teacher(WINDOWS)

    answers_of(teacher, torch.zeros(1, 2, 16), feature)

    modules = list(teacher.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in modules)
