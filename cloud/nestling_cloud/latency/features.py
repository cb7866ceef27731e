"""What a latency model sees of a network: a few sums over its layers.

Time is not linear in operations (FastDeepIoT, Yao et al., SenSys 2018): a layer has a cost of its
own, kernels work on blocks of channels, and gathering a convolution's inputs takes time as well.
So operations are one feature of several, and kinds of layers that run different kernels are
summed up by themselves.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.latency.family import Family
from nestling_core.student.blocks import Block, Conv, Depthwise, Gru, Lstm, Shuffle
from nestling_core.student.plan import LayerPlan, plan

KINDS = ("dense", "grouped", "depthwise", "recurrent", "shuffle")
# Channels put out, and products summed, that integer kernels take at once.
_ROWS, _COLUMNS = 16, 4


@dataclass(frozen=True, kw_only=True)
class LayerWork:
    """What one layer does to one input.

    Attributes:
        layers: 1, so that sums count.
        macs: multiply-accumulates.
        blocked_macs: with channels and products filled up to whole blocks.
        gathered: values that are laid out for the products.
        values: put out.
        odd: 1 where the channels put out fill no whole words of 4.
        odd_values: put out by such a layer.
        ragged: 1 where they fill no whole blocks of 16.
        ragged_values: put out by such a layer.
        source: channels taken in.
        channels: put out.
        taps: of the kernel.
        groups: that the channels are in.
        stride: on every axis.
        steps: one after another, of a recurrent layer.
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
# Places of the multiply-accumulates among them.
MACS = [place for place, name in enumerate(NAMES) if name.split("_", 1)[1] == "macs"]


def features(family: Family, widths: Sequence[int]) -> NDArray[np.float64]:
    """Sums over the layers of each kind, (features,), in the order of `NAMES`.

    Raises:
        SizesError: the family has no student of these widths.
    """
    sums = np.zeros((len(KINDS), len(_SUMS)))
    for kind, work in layer_works(family, widths):
        sums[KINDS.index(kind)] += [getattr(work, name) for name in _SUMS]
    return sums.flatten()


def layer_works(family: Family, widths: Sequence[int]) -> Iterator[tuple[str, LayerWork]]:
    """Kind and work of every layer; the linear layer at the end is a dense one.

    Raises:
        SizesError: the family has no student of these widths.
    """
    _, *axes = family.signature.shape
    layers = plan(family.signature, family.config.narrowed(widths))
    for layer in layers:
        axes = [(length - 1) // layer.stride + 1 for length in axes]
        yield _kind(layer.block), _work(layer, math.prod(axes))
    source, classes = layers[-1].channels(1), len(family.signature.classes)
    yield (
        "dense",
        LayerWork(
            layers=1,
            macs=source * classes,
            blocked_macs=_filled(source, _COLUMNS) * _filled(classes, _ROWS),
            gathered=source,
            values=classes,
            **_edges(classes, classes),
            source=source,
            channels=classes,
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
    """Count, rows and columns of what the layer multiplies with at every position."""
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
    """Values that are laid out for the products at every position."""
    match layer.block:
        case Conv(kernel=kernel) | Depthwise(kernel=kernel):
            taps: int = kernel**layer.dims
            return layer.source_channels(1) * taps
        case Gru() | Lstm():
            return layer.source_channels(1) + layer.widths[0]
        case Shuffle():
            return 0


def _edges(channels: int, values: int) -> dict[str, int]:
    """Whether kernels are left with a rest of channels, and the values put out then."""
    odd, ragged = channels % _COLUMNS > 0, channels % _ROWS > 0
    return {
        "odd": int(odd),
        "odd_values": values * odd,
        "ragged": int(ragged),
        "ragged_values": values * ragged,
    }


def _filled(count: int, block: int) -> int:
    return math.ceil(count / block) * block
