"""Computes the features from which a latency model predicts a network's latency.

The features are sums over the network's layers. Latency is not linear in the number of operations
(FastDeepIoT, Yao et al., SenSys 2018): each layer has a fixed cost, the processor's routines work
on blocks of channels, and gathering a convolution's inputs takes time as well. The number of
operations is therefore only one of several features. Layers of different kinds are summed
separately, because they run different routines.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.latency.family import Family
from nestling_core.kinds.of_signature import kind_of
from nestling_core.student.blocks import Block, Conv, Depthwise, Gru, Lstm, Shuffle
from nestling_core.student.plan import LayerPlan, plan

KINDS = ("dense", "grouped", "depthwise", "recurrent", "shuffle")
# Output channels and summed products that integer kernels process at a time.
_ROWS, _COLUMNS = 16, 4


@dataclass(frozen=True, kw_only=True)
class LayerWork:
    """The work of one layer for one input.

    Attributes:
        layers: always 1, so that the sum over a network's layers is the number of layers.
        macs: the number of multiply-accumulates.
        blocked_macs: the number of multiply-accumulates if each weight matrix is padded to a
            multiple of 16 rows and a multiple of 4 columns.
        gathered: the number of values that are copied into place for the products.
        values: the number of output values.
        odd: 1 if the number of output channels is not a multiple of 4, otherwise 0.
        odd_values: the number of output values if `odd` is 1, otherwise 0.
        ragged: 1 if the number of output channels is not a multiple of 16, otherwise 0.
        ragged_values: the number of output values if `ragged` is 1, otherwise 0.
        source: the number of input channels.
        channels: the number of output channels.
        taps: the number of positions in a convolution's kernel; 1 for the final linear layer, and 0
            for other layers.
        groups: the number of groups that the channels are split into.
        stride: the stride on every axis.
        steps: the number of sequential steps of a recurrent layer, otherwise 0.
    """

    layers: int
    macs: int
    blocked_macs: int
    gathered: int
    values: int
    odd: int
    odd_values: int
    ragged: int
    ragged_values: int
    source: int
    channels: int
    taps: int
    groups: int
    stride: int
    steps: int


_SUMS = tuple(field.name for field in fields(LayerWork))
NAMES = tuple(f"{kind}_{name}" for kind in KINDS for name in _SUMS)
# Indices of the features that count multiply-accumulates.
MACS = [place for place, name in enumerate(NAMES) if name.split("_", 1)[1] == "macs"]


def features(family: Family, widths: Sequence[int]) -> NDArray[np.float64]:
    """Return the work of a network's layers, summed separately for each kind of layer.

    Args:
        family: the family of the network.
        widths: the number of channels of every block that has its own width, in order.

    Returns:
        The features in the order of `NAMES`, (len(NAMES),).

    Raises:
        SizesError: the family has no student with these widths.
    """
    sums = np.zeros((len(KINDS), len(_SUMS)))
    for kind, work in layer_works(family, widths):
        sums[KINDS.index(kind)] += [getattr(work, name) for name in _SUMS]
    return sums.flatten()


def layer_works(family: Family, widths: Sequence[int]) -> Iterator[tuple[str, LayerWork]]:
    """Yield the kind (one of `KINDS`) and the work of every layer of a network.

    The final linear layer counts as dense. The front end is left out, because all networks of a
    family have the same one, which adds the same time to each.

    Args:
        family: the family of the network.
        widths: the number of channels of every block that has its own width, in order.

    Raises:
        SizesError: the family has no student with these widths.
    """
    _, *axes = family.config.read_shape(family.signature.shape)
    layers = plan(family.signature, family.config.narrowed(widths))
    for layer in layers:
        axes = [(length - 1) // layer.stride + 1 for length in axes]
        yield _kind(layer.block), _work(layer, math.prod(axes))
    source, outputs = layers[-1].channels(1), kind_of(family.signature).student_outputs
    yield (
        "dense",
        LayerWork(
            layers=1,
            macs=source * outputs,
            blocked_macs=_filled(source, _COLUMNS) * _filled(outputs, _ROWS),
            gathered=source,
            values=outputs,
            **_edges(outputs, outputs),
            source=source,
            channels=outputs,
            taps=1,
            groups=1,
            stride=1,
            steps=0,
        ),
    )


def _kind(block: Block) -> str:
    match block:
        case Conv(groups=groups):
            return "grouped" if groups > 1 else "dense"
        case Depthwise():
            return "depthwise"
        case Shuffle():
            return "shuffle"
        case _:
            return "recurrent"


def _work(layer: LayerPlan, positions: int) -> LayerWork:
    block, channels = layer.block, layer.channels(1)
    matrices = _matrices(layer)
    filled = [(count, _filled(r, _ROWS), _filled(c, _COLUMNS)) for count, r, c in matrices]
    return LayerWork(
        layers=1,
        macs=positions * sum(count * rows * columns for count, rows, columns in matrices),
        blocked_macs=positions * sum(count * rows * columns for count, rows, columns in filled),
        gathered=positions * _gathered(layer),
        values=positions * channels,
        **_edges(channels, positions * channels),
        source=layer.source_channels(1),
        channels=channels,
        taps=block.kernel**layer.dims if isinstance(block, Conv | Depthwise) else 0,
        groups=channels if isinstance(block, Depthwise) else layer.groups,
        stride=layer.stride,
        steps=positions if isinstance(block, Gru | Lstm) else 0,
    )


def _matrices(layer: LayerPlan) -> list[tuple[int, int, int]]:
    """Return the shapes of the weight matrices that a layer applies at each output position.

    Each entry is a tuple of the number of matrices, their rows and their columns.
    """
    width, source = layer.widths[0], layer.source_channels(1)
    match layer.block:
        case Conv(kernel=kernel, groups=groups):
            return [(groups, width, source // groups * kernel**layer.dims)]
        case Depthwise(kernel=kernel):
            return [(1, layer.channels(1), kernel**layer.dims)]
        case Gru(gates=gates) | Lstm(gates=gates):
            return [(1, gates * width, source), (1, gates * width, width)]
        case Shuffle():
            return []


def _gathered(layer: LayerPlan) -> int:
    """Return the number of values copied into place for the products at one output position."""
    match layer.block:
        case Conv(kernel=kernel) | Depthwise(kernel=kernel):
            taps: int = kernel**layer.dims
            return layer.source_channels(1) * taps
        case Gru() | Lstm():
            return layer.source_channels(1) + layer.widths[0]
        case Shuffle():
            return 0


def _edges(channels: int, values: int) -> dict[str, int]:
    """Return the fields of `LayerWork` that say whether the output channels fill whole blocks.

    `odd` and `odd_values` are for blocks of 4, and `ragged` and `ragged_values` for blocks of 16.
    """
    odd, ragged = channels % _COLUMNS > 0, channels % _ROWS > 0
    return {
        "odd": int(odd),
        "odd_values": values * odd,
        "ragged": int(ragged),
        "ragged_values": values * ragged,
    }


def _filled(count: int, block: int) -> int:
    return math.ceil(count / block) * block
