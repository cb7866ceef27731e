"""Cross-layer equalisation: channels between two layers share the 8-bit grid evenly.

A factor on each channel divides what one layer puts out and multiplies the weights that take it in,
and the function stays as it is, because a rectifier does not mind (Nagel et al. 2019). Here a row's
scale absorbs whatever size the layer before has, so the grid to share is that of the activations:
their reach is weighed against the columns of the next layer (as SmoothQuant does, Xiao et al.
2023). A recurrent layer's output is not divided: its state would not follow.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from nestling_core.student.blocks import Depthwise
from nestling_core.student.layers import ConvLayer, Layer, RecurrentLayer, ShuffleLayer
from nestling_core.student.network import NestedStudent

# Standard deviations that a normalised channel reaches.
_REACH = 3.0
# A channel's factor against the others' mean: a silent channel is not blown up for ever.
_LIMIT = 16.0
_SMALLEST = 1e-6


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """A weight's columns, as the channels that it takes in are numbered.

    Attributes:
        weight: stored.
        axes: of the channels: one, or two where they are in groups.
        turned: the place in the group comes before the group.
        free: each column has a scale of its own.
    """

    weight: nn.Parameter
    axes: tuple[int, ...]
    turned: bool
    free: bool = False

    def peaks(self) -> torch.Tensor:
        """The largest weight of every channel, (C,)."""
        others = [axis for axis in range(self.weight.ndim) if axis not in self.axes]
        peaks = self.weight.abs().amax(others)
        return (peaks.T if self.turned else peaks).flatten()

    def multiply(self, factors: torch.Tensor) -> None:
        """Multiply every channel's weights with its factor, (C,)."""
        sizes = [self.weight.shape[axis] for axis in self.axes]
        stored = factors.reshape(sizes[::-1]).T if self.turned else factors.reshape(sizes)
        shape = [size if axis in self.axes else 1 for axis, size in enumerate(self.weight.shape)]
        self.weight.mul_(stored.reshape(shape))


@torch.no_grad()
def equalize(student: NestedStudent) -> None:
    """Even out the channels between every two layers, in place; no capacity's answers change.

    Args:
        student: in evaluation mode, normalisation measured.
    """
    for layer, columns, shuffles in _pairs(student):
        reach = _reach(layer)
        factors = _factors(_dealt(reach, shuffles), columns)
        columns.multiply(factors)
        # Dealing numbers tells where each channel went.
        places = _dealt(torch.arange(len(factors), dtype=torch.float32), shuffles).long()
        own = torch.empty_like(factors)
        own[places] = factors
        _divide(layer, own)


def _pairs(
    student: NestedStudent,
) -> Iterator[tuple[ConvLayer, _Columns, list[ShuffleLayer]]]:
    """Every convolution with the weights that take in what it puts out."""
    stack = student.stack
    for index, layer in enumerate(stack):
        if not isinstance(layer, ConvLayer):
            continue
        rest = stack[index + 1 :]
        shuffles = list(itertools.takewhile(lambda x: isinstance(x, ShuffleLayer), rest))
        after = rest[len(shuffles) :]
        columns = _columns(after[0]) if after else _head_columns(student)
        yield layer, columns, [x for x in shuffles if isinstance(x, ShuffleLayer)]


def _columns(layer: Layer) -> _Columns:
    plan = layer.plan
    if isinstance(layer, RecurrentLayer):
        axes = (2, 3) if plan.joins else (2,)
        return _Columns(weight=layer.weights()["weight_ih"], axes=axes, turned=plan.joins)
    weight = layer.weights()["weight"]
    if isinstance(plan.block, Depthwise):
        grouped = plan.groups > 1
        return _Columns(weight=weight, axes=(0, 1) if grouped else (0,), turned=grouped, free=True)
    axes = (1, 2) if plan.joins or plan.groups > 1 else (1,)
    return _Columns(weight=weight, axes=axes, turned=plan.joins)


def _head_columns(student: NestedStudent) -> _Columns:
    grouped = student.head.ndim > 2
    return _Columns(weight=student.head, axes=(1, 2) if grouped else (1,), turned=grouped)


def _reach(layer: ConvLayer) -> torch.Tensor:
    """How far each channel goes at any capacity, (C,), by its normalisation (Nagel et al. 2019)."""
    plan = layer.plan
    reach = torch.zeros(plan.groups, plan.widths[-1])
    for capacity, width in enumerate(plan.widths, start=1):
        norm = layer.norm(capacity)
        own = (norm.offset + _REACH * norm.log_gain.exp()).reshape(plan.groups, width)
        reach[:, :width] = torch.maximum(reach[:, :width], own)
    return reach.flatten()


def _factors(reach: torch.Tensor, columns: _Columns) -> torch.Tensor:
    """Factors that leave reach and columns equally even, their geometric mean 1."""
    peaks = columns.peaks()
    wanted = reach if columns.free else (reach / peaks.clamp(min=_SMALLEST)).sqrt()
    silent = (reach < _SMALLEST) | (peaks < _SMALLEST)
    logs = wanted.clamp(min=_SMALLEST).log().masked_fill(silent, 0.0)
    logs = (logs - logs.sum() / (~silent).sum().clamp(min=1)).masked_fill(silent, 0.0)
    return logs.exp().clamp(1 / _LIMIT, _LIMIT)


def _divide(layer: ConvLayer, factors: torch.Tensor) -> None:
    plan = layer.plan
    grouped = factors.reshape(plan.groups, -1)
    for capacity, width in enumerate(plan.widths, start=1):
        norm, own = layer.norm(capacity), grouped[:, :width].flatten()
        norm.log_gain.sub_(own.log())
        norm.offset.div_(own)


def _dealt(channels: torch.Tensor, shuffles: list[ShuffleLayer]) -> torch.Tensor:
    """Numbers of channels, (C,), in the order after shuffles."""
    x = channels.reshape(1, -1, 1)
    for shuffle in shuffles:
        x = shuffle(x, 0)
    return x.flatten()
