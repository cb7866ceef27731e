"""Multiply-accumulates of a network, counted on one input."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from nestling.student.network import StudentConfig
from nestling.v1.bundle_pb2 import Signature


@torch.no_grad()
def network_macs(network: nn.Module, *shapes: Sequence[int]) -> int:
    """Multiply-accumulates of convolutions and linear layers for one input (of each shape)."""
    total = 0

    def count(layer: nn.Module, _: Any, output: torch.Tensor) -> None:
        nonlocal total
        weight = layer.weight
        assert isinstance(weight, torch.Tensor)
        total += output.numel() * math.prod(weight.shape[1:])

    kinds = (nn.Conv1d, nn.Conv2d, nn.Linear)
    hooks = [
        layer.register_forward_hook(count)
        for layer in network.modules()
        if isinstance(layer, kinds)
    ]
    network.eval()
    network(*(torch.zeros(1, *shape) for shape in shapes))
    for hook in hooks:
        hook.remove()
    return total


def activation_counts(signature: Signature, config: StudentConfig, capacity: int) -> list[int]:
    """Values that each layer of a student puts out, the input first."""
    channels, *axes = signature.shape
    counts = [channels * math.prod(axes)]
    for width, stride in zip(config.widths(capacity), config.strides, strict=True):
        axes = [(length - 1) // stride + 1 for length in axes]  # odd kernel, half of it padded
        counts.append(width * math.prod(axes))
    return counts


def student_macs(signature: Signature, config: StudentConfig, capacity: int) -> int:
    """Multiply-accumulates of one capacity."""
    widths = config.widths(capacity)
    sources = (signature.shape[0], *widths[:-1])
    area = config.kernel ** (len(signature.shape) - 1)
    outputs = activation_counts(signature, config, capacity)[1:]
    layers = sum(count * source for count, source in zip(outputs, sources, strict=True))
    return layers * int(area) + widths[-1] * len(signature.classes)
