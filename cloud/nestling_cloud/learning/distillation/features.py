"""What happens inside a teacher, whatever network it is."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from nestling_cloud.learning.distillation.losses import attention_map
from nestling_cloud.learning.loop import laid_out
from nestling_cloud.recipes.distillation import DistillationError, Feature

# Half the memory of float32 and its range, so that no teacher's activations overflow.
KEPT = torch.bfloat16


class TeacherFeatureError(DistillationError):
    """A teacher that has not inside what the student should resemble."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a teacher makes of inputs.

    Attributes:
        logits: (N, classes).
        features: what the chosen loss compares, None without one: for hints the last map
            (N, C, axes...), for attention its attention map (N, 1, axes...), for the angle the
            embedding (N, F). Kept in bfloat16.
    """

    logits: torch.Tensor
    features: torch.Tensor | None


@torch.no_grad()
def answers_of(
    teacher: nn.Module, inputs: torch.Tensor, feature: Feature, batch: int = 128
) -> Answers:
    """Run a teacher once, in evaluation mode.

    Args:
        teacher: (N, *shape) -> (N, classes).
        inputs: (N, *shape).
        feature: what is needed of its inside.
        batch: inputs at a time.

    Raises:
        TeacherFeatureError: it has no such feature.
    """
    teacher.eval()
    logits: list[torch.Tensor] = []
    features: list[torch.Tensor] = []
    with _listening(teacher, inputs.shape[1:]) as heard:
        for part in torch.split(inputs, batch):
            logits.append(teacher(laid_out(part, teacher)).float())
            if feature != "none":
                features.append(_feature(heard, feature).to(KEPT))
    return Answers(logits=torch.cat(logits), features=torch.cat(features) if features else None)


def check_teacher(teacher: nn.Module, shape: Sequence[int], feature: Feature) -> None:
    """Run an untrained teacher on nothing, so that what it lacks is known before it is trained.

    Raises:
        TeacherFeatureError: it has no such feature.
    """
    answers_of(teacher, torch.zeros(1, *shape), feature)


@dataclass(kw_only=True)
class _CapturedFeatures:
    """The latest of each in a forward pass, so that at its end it is the network's last."""

    embedding: torch.Tensor | None = None
    map: torch.Tensor | None = None


@contextmanager
def _listening(teacher: nn.Module, shape: Sequence[int]) -> Iterator[_CapturedFeatures]:
    """Write down what passes: what linear layers take in, and maps that modules put out."""
    heard = _CapturedFeatures()

    def embedding(_: nn.Module, given: tuple[Any, ...]) -> None:
        if given and given[0].ndim == 2:
            heard.embedding = given[0]

    def feature_map(_module: nn.Module, _given: Any, output: Any) -> None:
        if _is_map(output, shape):
            heard.map = output

    hooks = [module.register_forward_hook(feature_map) for module in teacher.modules()]
    linears = [module for module in teacher.modules() if isinstance(module, nn.Linear)]
    hooks += [module.register_forward_pre_hook(embedding) for module in linears]
    try:
        yield heard
    finally:
        for hook in hooks:
            hook.remove()


def _is_map(output: Any, shape: Sequence[int]) -> bool:
    """Whether it has the input's axes, at several places, and is more than a scaled input."""
    if not isinstance(output, torch.Tensor) or output.ndim != 1 + len(shape):
        return False
    return math.prod(output.shape[2:]) > 1 and list(output.shape[1:]) != list(shape)


def _feature(heard: _CapturedFeatures, feature: Feature) -> torch.Tensor:
    if feature == "angular":
        if heard.embedding is None:
            raise TeacherFeatureError(
                "angular distillation needs what the teacher's last nn.Linear takes in, (N, F), "
                "and this teacher runs none: choose another feature, or end it with one"
            )
        return heard.embedding
    if heard.map is None:
        raise TeacherFeatureError(
            f"{feature} need the last module of the teacher that puts out (N, C, axes...), with "
            "the input's number of axes, and this teacher has none: choose another feature"
        )
    return attention_map(heard.map) if feature == "attention" else heard.map
