from collections.abc import Callable

import pytest
import torch
from torch import nn

from nestling_cloud.learning.distillation.features import (
    TeacherFeatureError,
    answers_of,
    check_teacher,
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

    for feature, wanted in expected.items():
        assert torch.allclose(features_of(teacher, inputs, feature), wanted, rtol=0.01, atol=1e-5)


@torch.no_grad()
def test_logits_are_the_teachers_in_evaluation_mode() -> None:
    teacher = conv_teacher(WINDOWS)
    wanted = teacher(WINDOWS)

    answers = answers_of(teacher.train(), WINDOWS, "none", batch=2)

    assert torch.allclose(answers.logits, wanted, atol=1e-6)
    assert answers.features is None


def test_features_take_half_the_memory_and_overflow_no_sooner() -> None:
    teacher = nn.Sequential(nn.Conv1d(2, 3, 1, bias=False), nn.Flatten(), nn.Linear(48, 3))
    nn.init.constant_(teacher[0].weight, 1e6)  # type: ignore[arg-type]

    features = answers_of(teacher, WINDOWS, "hints").features

    assert features is not None
    assert features.element_size() == 2
    assert features.isfinite().all()


@torch.no_grad()
def test_pooled_map_of_one_place_is_no_map() -> None:
    body = nn.Conv2d(3, 4, 3)
    teacher = nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))

    assert torch.allclose(features_of(teacher, PICTURES, "hints"), body(PICTURES), rtol=0.01)


@torch.no_grad()
def test_embedding_is_what_the_last_of_several_linear_layers_takes_in() -> None:
    early = nn.Sequential(nn.Flatten(), nn.Linear(32, 6), nn.Tanh())
    teacher = nn.Sequential(early, nn.Linear(6, 3))

    assert torch.allclose(features_of(teacher, WINDOWS, "angular"), early(WINDOWS), rtol=0.01)


class SharedRectifier(nn.Module):
    """Has one module for a map and an embedding, and its layers the wrong way round."""

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
def test_order_is_that_of_running_not_of_registration() -> None:
    teacher = SharedRectifier()
    expected = torch.relu(teacher.body(WINDOWS))

    assert torch.allclose(features_of(teacher, WINDOWS, "hints"), expected, rtol=0.01)
    embedding = teacher.embedding(WINDOWS)
    assert torch.allclose(features_of(teacher, WINDOWS, "angular"), embedding, rtol=0.01)


class Normalized(nn.Module):
    """Has the input's own shape inside, which is nothing to learn from."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normalized: torch.Tensor = self.norm(x)
        return normalized.mean(2)


LACKING: list[tuple[Callable[[], nn.Module], Feature, str]] = [
    (Normalized, "angular", "the teacher's last nn.Linear .* this teacher runs none"),
    (Normalized, "hints", "hints need the last module .* this teacher has none"),
    (Normalized, "attention", "attention need the last module"),
    (lambda: nn.Sequential(nn.Flatten(), nn.Linear(32, 3)), "hints", "this teacher has none"),
    (lambda: nn.Sequential(nn.Linear(16, 3)), "angular", "this teacher runs none"),
]


@pytest.mark.parametrize(("make", "feature", "words"), LACKING)
def test_teacher_that_lacks_the_feature_is_refused_before_it_is_trained(
    make: Callable[[], nn.Module], feature: Feature, words: str
) -> None:
    with pytest.raises(TeacherFeatureError, match=words):
        check_teacher(make(), (2, 16), feature)


@pytest.mark.parametrize("feature", ["none", "hints", "attention", "angular"])
def test_teacher_that_has_all_is_let_pass_and_left_without_hooks(feature: Feature) -> None:
    teacher = conv_teacher(WINDOWS)

    check_teacher(teacher, (2, 16), feature)

    modules = list(teacher.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in modules)
