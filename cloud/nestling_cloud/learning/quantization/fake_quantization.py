"""Rounds activations to 8-bit grids while a student still computes in floating point."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from nestling_cloud.learning.quantization.grid import ActivationRange
from nestling_core.student.layers import ShuffleLayer
from nestling_core.student.network import NestedStudent

# (activations, point, capacity) -> rounded activations. Point 0 is the normalized input; one point
# for each layer and one for the pooled features follow.
Rounder = Callable[[torch.Tensor, int, int], torch.Tensor]


def fake_round(x: torch.Tensor, grid: ActivationRange) -> torch.Tensor:
    """Return activations rounded to the nearest numbers on a grid.

    Inside the range of the grid, gradients pass through unchanged (Bengio et al. 2013). Outside,
    they are 0.

    Args:
        x: the activations, of any shape.
        grid: the 8-bit grid.
    """
    inside = x.clamp(grid.low, grid.high)
    rounded = ((x / grid.scale).round() + grid.zero_point).clamp(0, 255) - grid.zero_point
    return inside + (rounded * grid.scale - inside).detach()


def on_grids(grids: Sequence[Sequence[ActivationRange]]) -> Rounder:
    """Return a function that rounds activations to fixed grids, for `activations_rounded`.

    Args:
        grids: the grids, first by capacity (index 0 is capacity 1), then by point in the student
            (see `activations_rounded`).
    """

    def rounder(x: torch.Tensor, point: int, capacity: int) -> torch.Tensor:
        return fake_round(x, grids[capacity - 1][point])

    return rounder


@contextlib.contextmanager
def activations_rounded(student: NestedStudent, rounder: Rounder) -> Iterator[None]:
    """Make every forward pass in the `with` block round the activations that a device rounds.

    Points are numbered places in the student: point 0 is the normalized input, points 1, 2, ... are
    the outputs of the layers in order, and the last point is the pooled features. The output of a
    shuffle counts as a point, but is not rounded.

    Args:
        student: the student, which has hooks attached during the block.
        rounder: the function `(activations, point, capacity) -> rounded activations`.
    """
    first, layers = student.stack[0], student.stack

    def before(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        x, capacity = inputs
        return rounder(x, 0, capacity), capacity

    def after(point: int) -> Callable[[nn.Module, tuple[Any, ...], torch.Tensor], torch.Tensor]:
        return lambda _, inputs, output: rounder(output, point, inputs[1])

    with contextlib.ExitStack() as hooks:
        hooks.enter_context(first.register_forward_pre_hook(before))
        for point, layer in enumerate([*layers, student.pool], start=1):
            # A shuffle only moves integers.
            if not isinstance(layer, ShuffleLayer):
                hooks.enter_context(layer.register_forward_hook(after(point)))
        yield
