"""Capture the logits and inner features of a teacher, whatever network it is."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from nestling_cloud.learning.distillation.losses import attention_map
from nestling_cloud.learning.loop import with_channels_last
from nestling_cloud.recipes.distillation import DistillationError, Feature

# Half the memory of float32 but the same range, so that no teacher's activations overflow.
STORED_DTYPE = torch.bfloat16


class TeacherFeatureError(DistillationError):
    """A teacher lacks the inner feature that the student should imitate."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """A teacher's outputs for some inputs.

    Attributes:
        logits: (N, classes).
        features: input of the chosen loss, None without one: for hints the last map (N, C,
            axes...), for attention its attention map (N, 1, axes...), for angular the embedding (N,
            F). Stored in bfloat16.
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
        feature: the inner feature to capture.
        batch: inputs per forward pass.

    Raises:
        TeacherFeatureError: the teacher lacks the feature.
    """
    teacher.eval()
    logits: list[torch.Tensor] = []
    features: list[torch.Tensor] = []
    with _capturing(teacher, inputs.shape[1:]) as captured:
        for part in torch.split(inputs, batch):
            logits.append(teacher(with_channels_last(part, teacher)).float())
            if feature != "none":
                features.append(_feature(captured, feature).to(STORED_DTYPE))
    return Answers(logits=torch.cat(logits), features=torch.cat(features) if features else None)


def check_teacher(teacher: nn.Module, shape: Sequence[int], feature: Feature) -> None:
    """Run an untrained teacher on zeros, to detect a missing feature before the training.

    Args:
        teacher: (N, *shape) -> (N, classes).
        shape: of one input.
        feature: the inner feature that the distillation compares.

    Raises:
        TeacherFeatureError: the teacher lacks the feature.
    """
    answers_of(teacher, torch.zeros(1, *shape), feature)


@dataclass(kw_only=True)
class _CapturedFeatures:
    """The latest features of a forward pass; at its end, the last ones of the network."""

    embedding: torch.Tensor | None = None
    map: torch.Tensor | None = None


@contextmanager
def _capturing(teacher: nn.Module, shape: Sequence[int]) -> Iterator[_CapturedFeatures]:
    """Capture the inputs of linear layers and the maps that modules output."""
    captured = _CapturedFeatures()

    def embedding(_: nn.Module, given: tuple[Any, ...]) -> None:
        if given and given[0].ndim == 2:
            captured.embedding = given[0]

    def feature_map(_module: nn.Module, _given: Any, output: Any) -> None:
        if _is_map(output, shape):
            captured.map = output

    hooks = [module.register_forward_hook(feature_map) for module in teacher.modules()]
    linears = [module for module in teacher.modules() if isinstance(module, nn.Linear)]
    hooks += [module.register_forward_pre_hook(embedding) for module in linears]
    try:
        yield captured
    finally:
        for hook in hooks:
            hook.remove()


def _is_map(output: Any, shape: Sequence[int]) -> bool:
    """Return whether an output has the input's axes, more than one position, and another shape."""
    if not isinstance(output, torch.Tensor) or output.ndim != 1 + len(shape):
        return False
    return math.prod(output.shape[2:]) > 1 and list(output.shape[1:]) != list(shape)


def _feature(captured: _CapturedFeatures, feature: Feature) -> torch.Tensor:
    if feature == "angular":
        if captured.embedding is None:
            raise TeacherFeatureError(
                "angular distillation needs the input of the teacher's last nn.Linear, (N, F), "
                "but this teacher runs none: choose another feature, or end it with one"
            )
        return captured.embedding
    if captured.map is None:
        raise TeacherFeatureError(
            f"distillation by {feature} needs a module of the teacher that outputs (N, C, "
            "axes...), with the input's number of axes, but this teacher has none: choose another "
            "feature"
        )
    return attention_map(captured.map) if feature == "attention" else captured.map
