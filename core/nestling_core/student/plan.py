"""Derives the shape of every array from a student's blocks, without allocating any array.

A nested tensor is stored so that every capacity's part is a box that starts at the origin. Torch
orders the channels of a grouped layer by group, but a smaller capacity uses the first channels of
every group. The stored tensor therefore has the channel within the group as its first axis, and the
group as its second. In this package, shapes of stored tensors use these letters: W channels in a
group, G groups, S source channels in a group, R source groups, K kernel length (elsewhere, K is the
number of capacities), Q gates of a recurrent layer.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nestling.v1.bundle_pb2 import NestedTensor, Prefix, Signature
from nestling_core.kinds.of_signature import kind_of
from nestling_core.student.blocks import Block, Conv, Depthwise, Gru, Lstm, Shuffle, SizesError
from nestling_core.student.config import StudentConfig

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]

HEAD_NAME = "head.weight"
NORM_ARRAYS = ("log_gain", "offset", "running_mean", "running_var")
GATE_ARRAYS = ("log_gain_ih", "log_gain_hh", "bias_ih", "bias_hh")


@dataclass(frozen=True, kw_only=True)
class LayerPlan:
    """A block, with the sizes that follow from its position in the student.

    Attributes:
        block: the block.
        index: the position of the block in the student, from 0.
        dims: the number of axes after the channels.
        groups: the number of groups of the output channels.
        widths: the number of output channels in each group, with one entry for each capacity.
        source_groups: the number of groups of the input channels.
        source_widths: the number of input channels in each group, with one entry for each capacity.
    """

    block: Block
    index: int
    dims: int
    groups: int
    widths: tuple[int, ...]
    source_groups: int
    source_widths: tuple[int, ...]

    def channels(self, capacity: int) -> int:
        """Return the number of output channels at a capacity (1 to K)."""
        return self.groups * self.widths[capacity - 1]

    def source_channels(self, capacity: int) -> int:
        """Return the number of input channels at a capacity (1 to K)."""
        return self.source_groups * self.source_widths[capacity - 1]

    def weights(self, capacity: int) -> Shapes:
        """Return the shapes of the nested tensors at a capacity, keyed by name within the layer."""
        return self.weights_of(self.widths[capacity - 1], self.source_widths[capacity - 1])

    def weights_of(self, width: int, source: int) -> Shapes:
        """Return the shapes of the nested tensors for given widths, keyed by name within the layer.

        Args:
            width: the number of output channels in each group.
            source: the number of input channels in each group.
        """
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
        """Return the shapes of the arrays that only one capacity (1 to K) uses, keyed by name."""
        match self.block:
            case Shuffle():
                return {}
            case Gru(gates=gates) | Lstm(gates=gates):
                return dict.fromkeys(GATE_ARRAYS, (self.widths[capacity - 1], gates))
            case _:
                return dict.fromkeys(NORM_ARRAYS, (self.channels(capacity),))

    @property
    def joins(self) -> bool:
        """Whether the block has one group, but its input has several."""
        return self.groups == 1 and self.source_groups > 1

    @property
    def stride(self) -> int:
        """The factor by which the block shortens each axis."""
        return self.block.stride if isinstance(self.block, Conv | Depthwise) else 1

    def tensor_name(self, name: str) -> str:
        """Return the name of a nested tensor in the manifest and in the templates (ONNX graphs)."""
        return f"layer{self.index}.{name}"


def plan(signature: Signature, config: StudentConfig) -> tuple[LayerPlan, ...]:
    """Return the plan of every layer of a student.

    Args:
        signature: the task's input shape and kind.
        config: the sizes of the student.

    Raises:
        SizesError: the blocks do not fit each other, or do not fit the signature.
    """
    channels, *axes = config.read_shape(signature.shape)
    capacities = range(1, config.capacities + 1)
    rows = [iter(config.widths_at(capacity)) for capacity in capacities]
    groups, widths = 1, (channels,) * config.capacities
    layers = []
    for index, block in enumerate(config.blocks):
        source = _source(block, index, groups, widths)
        groups, widths = _output(block, index, *source, rows)
        layers.append(
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
    return tuple(layers)


def _source(
    block: Block, index: int, groups: int, widths: tuple[int, ...]
) -> tuple[int, tuple[int, ...]]:
    """Return the number of groups into which a block splits its input, and the width of a group.

    The width is the number of channels in each group. It is a tuple with one entry for each
    capacity. Raise SizesError if the input cannot be split into equal groups.
    """
    if not isinstance(block, Conv) or block.groups in {1, groups}:
        return groups, widths
    if index or widths[0] % block.groups:
        raise SizesError(
            f"block {index}: {block.groups} groups cannot follow {groups} of {widths[0]} channels; "
            "put a shuffle before it, or choose an input whose channels split into equal groups"
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
    """Return the layout of the nest, with the shape of every nested tensor at each capacity.

    The tensors of the layers come first, in order. The head's tensor comes last.

    Args:
        signature: the task's input shape and kind.
        config: the sizes of the student.

    Raises:
        SizesError: the blocks do not fit each other, or do not fit the signature.
    """
    layers, capacities = plan(signature, config), range(1, config.capacities + 1)
    tensors = [
        NestedTensor(
            name=layer.tensor_name(name),
            prefixes=[Prefix(shape=layer.weights(k)[name]) for k in capacities],
        )
        for layer in layers
        for name in layer.weights(1)
    ]
    outputs = kind_of(signature).student_outputs
    head = [Prefix(shape=head_shape(layers[-1], outputs, capacity)) for capacity in capacities]
    return [*tensors, NestedTensor(name=HEAD_NAME, prefixes=head)]


def head_shape(last: LayerPlan, outputs: int, capacity: int) -> Shape:
    """Return the shape of the linear layer's weight at a capacity.

    Args:
        last: the plan of the layer before the linear layer.
        outputs: the number of outputs of the student.
        capacity: the capacity, 1 to K.
    """
    width = last.widths[capacity - 1]
    return (outputs, width, last.groups) if last.groups > 1 else (outputs, width)
