"""Scales the channels between layers, so that all channels use the 8-bit grid evenly.

Each channel between two layers gets a factor. The output of the first layer is divided by the
factor, and the weights of the second layer are multiplied by it. This does not change what the
student computes, because a ReLU commutes with positive factors (Nagel et al. 2019).

In the first layer, the weight scale of each row absorbs the factor. The activation grid, however,
is shared by all channels. The factors therefore balance the range of each channel against the
weights that read the channel, as in SmoothQuant (Xiao et al. 2023). The output of a recurrent layer
is not scaled, because its saturating gates do not commute with factors.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from nestling_core.student.blocks import Depthwise
from nestling_core.student.layers import ConvLayer, Layer, RecurrentLayer, ShuffleLayer
from nestling_core.student.network import NestedStudent

# Standard deviations that a normalized channel is assumed to span.
_DEVIATIONS = 3.0
# Largest factor of a channel relative to the mean factor, so that a silent channel is not blown up.
_LIMIT = 16.0
_SMALLEST = 1e-6


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """A weight tensor, split into columns.

    A column consists of the weights that read one channel of the previous layer.

    Attributes:
        weight: the weight tensor as the student stores it.
        axes: the axes of the tensor that index the columns. There are two if the channels are in
            groups, and otherwise one.
        turned: True if the first of two axes is the index of the channel within its group, and the
            second is the index of the group. False otherwise.
        free: True if each column has its own quantization scale.
    """

    weight: nn.Parameter
    axes: tuple[int, ...]
    turned: bool
    free: bool = False

    def peaks(self) -> torch.Tensor:
        """Return the largest magnitude among the weights that read each channel, (C,)."""
        others = [axis for axis in range(self.weight.ndim) if axis not in self.axes]
        peaks = self.weight.abs().amax(others)
        return (peaks.T if self.turned else peaks).flatten()

    def multiply(self, factors: torch.Tensor) -> None:
        """Multiply the weights that read each channel by the channel's factor, (C,)."""
        sizes = [self.weight.shape[axis] for axis in self.axes]
        stored = factors.reshape(sizes[::-1]).T if self.turned else factors.reshape(sizes)
        shape = [size if axis in self.axes else 1 for axis, size in enumerate(self.weight.shape)]
        self.weight.mul_(stored.reshape(shape))


@torch.no_grad()
def equalize(student: NestedStudent) -> None:
    """Scale the output channels of convolutions so that all channels use the 8-bit grid evenly.

    The weights that read these channels are scaled by the inverse. The logits of all capacities
    therefore stay the same, apart from floating-point rounding.

    Args:
        student: the trained student, which is changed in place.
    """
    for layer, columns, shuffles in _pairs(student):
        factors = _factors(_shuffled(_channel_ranges(layer), shuffles), columns)
        columns.multiply(factors)
        # Shuffling the channel numbers shows where each channel moved to.
        places = _shuffled(torch.arange(len(factors), dtype=torch.float32), shuffles).long()
        own = torch.empty_like(factors)
        own[places] = factors
        _divide(layer, own)


def _pairs(
    student: NestedStudent,
) -> Iterator[tuple[ConvLayer, _Columns, list[ShuffleLayer]]]:
    """Yield every convolution, the weights that read its output, and the shuffles in between."""
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


def _channel_ranges(layer: ConvLayer) -> torch.Tensor:
    """Return the estimated largest value of each channel over all capacities, (C,).

    The estimate is the normalization's offset plus three times its gain, because normalized values
    seldom lie more than three standard deviations above their mean (Nagel et al. 2019).
    """
    plan = layer.plan
    ranges = torch.zeros(plan.groups, plan.widths[-1])
    for capacity, width in enumerate(plan.widths, start=1):
        norm = layer.norm(capacity)
        own = (norm.offset + _DEVIATIONS * norm.log_gain.exp()).reshape(plan.groups, width)
        ranges[:, :width] = torch.maximum(ranges[:, :width], own)
    return ranges.flatten()


def _factors(ranges: torch.Tensor, columns: _Columns) -> torch.Tensor:
    """Return the factor of each channel, (C,), which balances its range against its column.

    If columns have their own scales, the factors only even out the ranges. Channels whose range or
    column is close to 0 get the factor 1. The other factors have a geometric mean of 1, before they
    are clipped to between 1/16 and 16. The ranges, (C,), are in the order of the columns.
    """
    peaks = columns.peaks()
    ideal = ranges if columns.free else (ranges / peaks.clamp(min=_SMALLEST)).sqrt()
    silent = (ranges < _SMALLEST) | (peaks < _SMALLEST)
    logs = ideal.clamp(min=_SMALLEST).log().masked_fill(silent, 0.0)
    logs = (logs - logs.sum() / (~silent).sum().clamp(min=1)).masked_fill(silent, 0.0)
    return logs.exp().clamp(1 / _LIMIT, _LIMIT)


def _divide(layer: ConvLayer, factors: torch.Tensor) -> None:
    plan = layer.plan
    grouped = factors.reshape(plan.groups, -1)
    for capacity, width in enumerate(plan.widths, start=1):
        norm, own = layer.norm(capacity), grouped[:, :width].flatten()
        norm.log_gain.sub_(own.log())
        norm.offset.div_(own)


def _shuffled(channels: torch.Tensor, shuffles: list[ShuffleLayer]) -> torch.Tensor:
    """Return the values of the channels, (C,), in the order of the channels after the shuffles."""
    x = channels.reshape(1, -1, 1)
    for shuffle in shuffles:
        x = shuffle(x, 0)
    return x.flatten()
