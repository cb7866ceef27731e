"""Captures the logits and inner features of any network that serves as a teacher."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from nestling_cloud.learning.distillation.losses import attention_map
from nestling_cloud.learning.input_tensors import InputTensors, split
from nestling_cloud.learning.loop import with_channels_last
from nestling_cloud.learning.torch_device import device_of
from nestling_cloud.recipes.distillation import DistillationError, Feature

# Half the memory of float32 but the same range, so that no teacher's activations overflow.
STORED_DTYPE = torch.bfloat16


class TeacherFeatureError(DistillationError):
    """Raised when a teacher lacks the inner feature that the student should imitate."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """A teacher's outputs for some inputs.

    Attributes:
        logits: the teacher's outputs, (N, O).
        features: the features that the chosen loss compares, in bfloat16; None if no such loss is
            chosen. What they are depends on the loss:

            - "hints": the last feature map, (N, C, axes...).
            - "attention": the attention map of the last feature map, (N, 1, axes...).
            - "angular": the embedding, which is the input of the last linear layer, (N, F).
    """

    logits: torch.Tensor
    features: torch.Tensor | None


@torch.no_grad()
def answers_of(
    teacher: nn.Module,
    inputs: InputTensors,
    feature: Feature,
    *,
    shape: Sequence[int] = (),
    batch: int = 128,
) -> Answers:
    """Return a teacher's outputs and inner features for some inputs, on the processor.

    Args:
        teacher: the teacher, which maps (N, *shape) to (N, O) and is set to evaluation mode.
        inputs: the inputs, (N, *shape).
        feature: the inner feature to capture; "none" for the outputs only.
        shape: the shape of what the student's first block reads, by which feature maps are
            recognized. If it is empty, this is the shape of an input.
        batch: the number of inputs per forward pass.

    Raises:
        TeacherFeatureError: the teacher lacks the feature.
    """
    teacher.eval()
    logits: list[torch.Tensor] = []
    features: list[torch.Tensor] = []
    device = device_of(teacher)
    with _capturing(teacher, shape or inputs.shape[1:]) as captured:
        for part in split(inputs, batch):
            placed = with_channels_last(part.to(device), teacher)
            logits.append(teacher(placed).float().cpu())
            if feature != "none":
                features.append(_feature(captured, feature).to(STORED_DTYPE).cpu())
    return Answers(logits=torch.cat(logits), features=torch.cat(features) if features else None)


@dataclass(kw_only=True)
class _CapturedFeatures:
    """The latest features of a forward pass.

    When the pass has ended, these are the last features in the network.

    Attributes:
        embedding: the latest input (N, F) of a linear layer; None if there was none yet.
        map: the latest feature map (N, C, axes...); None if there was none yet.
    """

    embedding: torch.Tensor | None = None
    map: torch.Tensor | None = None


@contextmanager
def _capturing(teacher: nn.Module, shape: Sequence[int]) -> Iterator[_CapturedFeatures]:
    """Record the latest feature map and the latest input of a linear layer in the `with` block.

    Args:
        teacher: the teacher whose forward passes are observed.
        shape: the shape of what the first layers read, by which feature maps are recognized.
    """
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
    """Return whether the output of a module is a feature map.

    A feature map has as many axes as what is read but another shape, and more than one position
    (along the axes after the channels).
    """
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
