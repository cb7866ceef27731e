"""From a student's blocks to the shape of every array, without any array.

A nested tensor is written so that every capacity's part is a box from the origin. Channels of a
grouped layer lie group after group where they are computed, and a smaller capacity takes the first
of every group: so the stored tensor has the place in the group first and the group second. A legend
of the shapes: W places in a group, G groups, S source places, R source groups, K kernel lengths, Q
gates of a recurrent cell.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nestling.v1.bundle_pb2 import NestedTensor, Prefix, Signature
from nestling_core.student.blocks import Block, Conv, Depthwise, Gru, Lstm, Shuffle, SizesError
from nestling_core.student.config import StudentConfig

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]

HEAD_NAME = "head.weight"
NORM_ARRAYS = ("log_gain", "offset", "running_mean", "running_var")
GATE_ARRAYS = ("log_gain_ih", "log_gain_hh", "bias_ih", "bias_hh")


@dataclass(frozen=True, kw_only=True)
class LayerPlan:
    """One block where it stands.

    Attributes:
        block: what it is.
        index: its number, from 0.
        dims: axes after the channels.
        groups: of its output's channels.
        widths: channels in each group, at each capacity.
        source_groups: of its input's channels.
        source_widths: channels in each of these, at each capacity.
    """

    block: Block
    index: int
    dims: int
    groups: int
    widths: tuple[int, ...]
    source_groups: int
    source_widths: tuple[int, ...]

    def channels(self, capacity: int) -> int:
        """Channels put out at a capacity (1 to K)."""
        return self.groups * self.widths[capacity - 1]

    def source_channels(self, capacity: int) -> int:
        """Channels taken in at a capacity."""
        return self.source_groups * self.source_widths[capacity - 1]

    def weights(self, capacity: int) -> Shapes:
        """Nested tensors by their names within the layer, at a capacity."""
        return self.weights_of(self.widths[capacity - 1], self.source_widths[capacity - 1])

    def weights_of(self, width: int, source: int) -> Shapes:
        """Nested tensors for any widths of output and input."""
        match self.block:
            case Conv(kernel=kernel, groups=groups):
                rows = (width, groups) if groups > 1 else (width,)
                columns = (source, self.source_groups) if self.joins else (source,)
                return {"weight": (*rows, *columns, *(kernel,) * self.dims)}
            case Depthwise(kernel=kernel):
                rows = (width, self.groups) if self.groups > 1 else (width,)
                return {"weight": (*rows, 1, *(kernel,) * self.dims)}
            case Gru(gates=gates) | Lstm(gates=gates):
                columns = (source, self.source_groups) if self.joins else (source,)
                return {"weight_ih": (width, gates, *columns), "weight_hh": (width, gates, width)}
            case Shuffle():
                return {}

    def own(self, capacity: int) -> Shapes:
        """Small arrays that a capacity has for itself, by their names within it."""
        match self.block:
            case Shuffle():
                return {}
            case Gru(gates=gates) | Lstm(gates=gates):
                return dict.fromkeys(GATE_ARRAYS, (self.widths[capacity - 1], gates))
            case _:
                return dict.fromkeys(NORM_ARRAYS, (self.channels(capacity),))

    @property
    def joins(self) -> bool:
        """Whether one group takes in several."""
        return self.groups == 1 and self.source_groups > 1

    @property
    def stride(self) -> int:
        """By which the axes shorten."""
        return self.block.stride if isinstance(self.block, Conv | Depthwise) else 1

    def tensor_name(self, name: str) -> str:
        """Name of a nested tensor in the manifest and in the templates."""
        return f"layer{self.index}.{name}"


def plan(signature: Signature, config: StudentConfig) -> tuple[LayerPlan, ...]:
    """Work out every layer of a student.

    Raises:
        SizesError: blocks that do not follow each other, or not this signature.
    """
    channels, *axes = signature.shape
    capacities = range(1, config.capacities + 1)
    rows = [iter(config.widths_at(capacity)) for capacity in capacities]
    groups, widths = 1, (channels,) * config.capacities
    found = []
    for index, block in enumerate(config.blocks):
        source = _source(block, index, groups, widths)
        groups, widths = _output(block, index, *source, rows)
        found.append(
            LayerPlan(
                block=block,
                index=index,
                dims=len(axes),
                groups=groups,
                widths=widths,
                source_groups=source[0],
                source_widths=source[1],
            )
        )
        if isinstance(block, Gru | Lstm) and len(axes) != 1:
            raise SizesError(f"block {index}: a recurrent block runs along one axis, not {axes}")
    return tuple(found)


def _source(
    block: Block, index: int, groups: int, widths: tuple[int, ...]
) -> tuple[int, tuple[int, ...]]:
    """Groups and their widths as the block takes them in."""
    if not isinstance(block, Conv) or block.groups in {1, groups}:
        return groups, widths
    if index or widths[0] % block.groups:
        raise SizesError(
            f"block {index}: {block.groups} groups cannot follow {groups} of {widths[0]} channels; "
            "shuffle before, or give the input's channels as many equal parts"
        )
    return block.groups, tuple(width // block.groups for width in widths)


def _output(
    block: Block, index: int, groups: int, widths: tuple[int, ...], rows: Sequence[Iterator[int]]
) -> tuple[int, tuple[int, ...]]:
    match block:
        case Conv(groups=parts):
            return parts, tuple(next(row) // parts for row in rows)
        case Gru() | Lstm():
            return 1, tuple(next(row) for row in rows)
        case Shuffle(groups=parts):
            if any(width % parts for width in widths):
                raise SizesError(f"block {index}: {widths} do not split into {parts} groups")
            return parts, tuple(width // parts * groups for width in widths)
        case _:
            return groups, widths


def layout(signature: Signature, config: StudentConfig) -> list[NestedTensor]:
    """The nest of a student: its layers' tensors in order, then the head's."""
    layers, capacities = plan(signature, config), range(1, config.capacities + 1)
    tensors = [
        NestedTensor(
            name=layer.tensor_name(name),
            prefixes=[Prefix(shape=layer.weights(k)[name]) for k in capacities],
        )
        for layer in layers
        for name in layer.weights(1)
    ]
    classes = len(signature.classes)
    head = [Prefix(shape=head_shape(layers[-1], classes, capacity)) for capacity in capacities]
    return [*tensors, NestedTensor(name=HEAD_NAME, prefixes=head)]


def head_shape(last: LayerPlan, classes: int, capacity: int) -> Shape:
    """Shape of the linear layer's weight at a capacity."""
    width = last.widths[capacity - 1]
    return (classes, width, last.groups) if last.groups > 1 else (classes, width)
