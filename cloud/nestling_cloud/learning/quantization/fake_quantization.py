"""Fake quantisation of activations: a student that computes in real numbers on 8-bit grids."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from nestling_cloud.learning.quantization.grid import ActivationRange
from nestling_core.student.layers import ShuffleLayer
from nestling_core.student.network import NestedStudent

# (activations, point, capacity) -> rounded ones. Point 0 is the normalised input, then comes one
# for each layer, then the pooled features.
Rounder = Callable[[torch.Tensor, int, int], torch.Tensor]


def fake_round(x: torch.Tensor, grid: ActivationRange) -> torch.Tensor:
    """The nearest numbers on a grid; gradients pass where the grid covers (Bengio et al. 2013)."""
    inside = x.clamp(grid.low, grid.high)
    rounded = ((x / grid.scale).round() + grid.zero_point).clamp(0, 255) - grid.zero_point
    return inside + (rounded * grid.scale - inside).detach()


def on_grids(grids: Sequence[Sequence[ActivationRange]]) -> Rounder:
    """Round to grids that are known, by capacity (from 0) and point."""

    def rounder(x: torch.Tensor, point: int, capacity: int) -> torch.Tensor:
        return fake_round(x, grids[capacity - 1][point])

    return rounder


@contextlib.contextmanager
def activations_rounded(student: NestedStudent, rounder: Rounder) -> Iterator[None]:
    """Round all that a device rounds, in every forward pass within the context."""
    first, layers = student.stack[0], student.stack

    def before(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        x, capacity = inputs
        return rounder(x, 0, capacity), capacity

    def after(point: int) -> Callable[[nn.Module, tuple[Any, ...], torch.Tensor], torch.Tensor]:
        return lambda _, inputs, output: rounder(output, point, inputs[1])

    with contextlib.ExitStack() as hooks:
        hooks.enter_context(first.register_forward_pre_hook(before))
        for point, layer in enumerate([*layers, student.pool], start=1):
            # A shuffle moves integers and rounds nothing.
            if not isinstance(layer, ShuffleLayer):
                hooks.enter_context(layer.register_forward_hook(after(point)))
        yield
