"""Defines the sizes of a nested student.

The sizes are the blocks, and the share of their channels that each capacity (nested size) uses.
Every function here that returns a configuration raises SizesError if its sizes are invalid.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nestling_core.student.blocks import Block, Conv, Depthwise, Gru, Lstm, Shuffle, SizesError
from nestling_core.student.log_mel import LogMel

FRACTIONS = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, kw_only=True)
class StudentConfig:
    """The sizes of a nested student.

    Attributes:
        blocks: the blocks in order, with their numbers of channels at the largest capacity. A mean
            over the remaining axes and a linear layer follow the blocks.
        fractions: the share of the channels that each capacity uses, smallest first. The last share
            is 1. Numbers of channels are rounded up. In a grouped convolution, they are rounded up
            to a multiple of the number of groups.
        widths: for each capacity, smallest first, the number of channels of every block that has
            its own channels (convolutions other than depthwise ones, and recurrent blocks), in
            order. If given, the widths replace the fractions.
        front_end: the sizes of the front end, which turns an input into the features that the first
            block reads; None if the first block reads the input itself.
    """

    blocks: tuple[Block, ...]
    fractions: tuple[float, ...] = FRACTIONS
    widths: tuple[tuple[int, ...], ...] = ()
    front_end: LogMel | None = None

    def __post_init__(self) -> None:
        """Raise SizesError if the sizes do not form a nest."""
        if not self.whole:
            raise SizesError("a student needs at least one block with channels of its own")
        if self.widths:
            self._check_widths()
            return
        rising = list(self.fractions) == sorted(set(self.fractions))
        if not self.fractions or not rising or self.fractions[-1] != 1 or self.fractions[0] <= 0:
            raise SizesError(f"fractions {self.fractions} must rise within (0, 1] and end at 1")
        rows = [self.widths_at(capacity) for capacity in range(1, self.capacities + 1)]
        for small, large in itertools.pairwise(rows):
            if small == large:
                raise SizesError(
                    f"fractions {self.fractions} of channels {self.whole} give two capacities the "
                    f"same widths {small}: choose more channels or fewer fractions"
                )

    def _check_widths(self) -> None:
        for row in self.widths:
            if len(row) != len(self.whole) or min(row) < 1:
                raise SizesError(f"widths {row}: give one of at least 1 for each of {self.whole}")
        for small, large in itertools.pairwise(self.widths):
            if small == large or any(a > b for a, b in zip(small, large, strict=True)):
                raise SizesError(f"widths {small} do not nest in {large}")
        if self.widths[-1] != self.whole:
            raise SizesError(
                f"widths {self.widths[-1]} of the largest capacity must equal {self.whole}"
            )
        groups = [block.groups if isinstance(block, Conv) else 1 for block in self._wide]
        if any(w % g for row in self.widths for w, g in zip(row, groups, strict=True)):
            raise SizesError(f"widths {self.widths} do not split into groups of {groups}")

    @property
    def capacities(self) -> int:
        """The number of nested sizes, K."""
        return len(self.widths or self.fractions)

    @property
    def whole(self) -> tuple[int, ...]:
        """The number of channels of each block with its own channels, at the largest capacity."""
        return tuple(block.channels for block in self._wide)

    @property
    def _wide(self) -> tuple[Conv | Gru | Lstm, ...]:
        return tuple(block for block in self.blocks if isinstance(block, Conv | Gru | Lstm))

    def read_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of what the first block reads, (channels, axes...).

        Args:
            shape: the shape of an input of the task.

        Raises:
            SizesError: the front end does not suit inputs of this shape.
        """
        return self.front_end.shape(shape) if self.front_end else tuple(shape)

    def widths_at(self, capacity: int) -> tuple[int, ...]:
        """Return each block's number of channels at one capacity.

        Blocks without their own channels, such as depthwise convolutions, are left out.

        Args:
            capacity: the capacity, 1 to K.

        Returns:
            The numbers in the order of the blocks.
        """
        if self.widths:
            return self.widths[capacity - 1]
        share = self.fractions[capacity - 1]
        return tuple(_share(block, share) for block in self._wide)

    def alone(self, capacity: int) -> "StudentConfig":
        """Return the configuration of a separate student that is as large as one capacity."""
        return self.narrowed(self.widths_at(capacity))

    def narrowed(self, widths: Sequence[int]) -> "StudentConfig":
        """Return the configuration of a student with the given widths and a single capacity.

        Args:
            widths: the number of channels of every block that has its own channels, in order.

        Raises:
            SizesError: the number of widths is wrong, or a block cannot have its width.
        """
        if len(widths) != len(self.whole):
            raise SizesError(f"widths {tuple(widths)}: give one for each of {self.whole}")
        left = iter(widths)
        blocks = tuple(
            replace(block, channels=next(left)) if isinstance(block, Conv | Gru | Lstm) else block
            for block in self.blocks
        )
        return replace(self, blocks=blocks, fractions=(1.0,), widths=())


def _share(block: Conv | Gru | Lstm, share: float) -> int:
    groups = block.groups if isinstance(block, Conv) else 1
    # In floating point 70 * 0.1 is slightly more than 7, which would round up to 8.
    return groups * math.ceil(block.channels * share / groups - 1e-9)


def conv_student(
    *,
    channels: Sequence[int],
    strides: Sequence[int],
    kernel: int = 3,
    fractions: Sequence[float] = FRACTIONS,
) -> StudentConfig:
    """Return the configuration of a student that consists of dense convolutions.

    Of all student families, this one gains the most speed from int8.

    Args:
        channels: the number of channels of each convolution at the largest capacity.
        strides: the stride of each convolution, on every axis.
        kernel: the kernel length of every convolution, on every axis.
        fractions: the share of the channels that each capacity uses, smallest first.
    """
    return StudentConfig(
        blocks=tuple(
            Conv(channels=count, kernel=kernel, stride=stride)
            for count, stride in _pairs(channels, strides)
        ),
        fractions=tuple(fractions),
    )


def separable_student(
    *,
    channels: Sequence[int],
    strides: Sequence[int],
    kernel: int = 3,
    fractions: Sequence[float] = FRACTIONS,
) -> StudentConfig:
    """Return the configuration of a student that consists of depthwise separable convolutions.

    The layers are those of MobileNet (Howard et al. 2017). The first layer is a dense convolution.
    Every other layer is a depthwise convolution followed by a pointwise one.

    Args:
        channels: the number of output channels of each layer at the largest capacity.
        strides: the stride of each layer, on every axis.
        kernel: the kernel length of the dense and the depthwise convolutions, on every axis.
        fractions: the share of the channels that each capacity uses, smallest first.
    """
    (first, stride), *rest = _pairs(channels, strides)
    blocks: list[Block] = [Conv(channels=first, kernel=kernel, stride=stride)]
    for count, step in rest:
        blocks += [Depthwise(kernel=kernel, stride=step), Conv(channels=count, kernel=1)]
    return StudentConfig(blocks=tuple(blocks), fractions=tuple(fractions))


def shuffle_student(
    *,
    channels: Sequence[int],
    strides: Sequence[int],
    groups: int,
    kernel: int = 3,
    fractions: Sequence[float] = FRACTIONS,
) -> StudentConfig:
    """Return the configuration of a student with grouped pointwise convolutions and shuffles.

    The layers are those of ShuffleNet (Zhang et al. 2018), except that they have no shortcut. The
    first layer is a dense convolution. Every other layer is a shuffle, a depthwise convolution and
    a grouped pointwise convolution.

    At every capacity, the number of channels of the first layer must be a multiple of `groups`. In
    the layers between the first and the last, it must be a multiple of the square of `groups`,
    because the next shuffle splits each group of channels again.

    Args:
        channels: the number of output channels of each layer at the largest capacity.
        strides: the stride of each layer, on every axis.
        groups: the number of groups of the pointwise convolutions.
        kernel: the kernel length of the dense and the depthwise convolutions, on every axis.
        fractions: the share of the channels that each capacity uses, smallest first.
    """
    (first, stride), *rest = _pairs(channels, strides)
    blocks: list[Block] = [Conv(channels=first, kernel=kernel, stride=stride)]
    for count, step in rest:
        blocks += [
            Shuffle(groups=groups),
            Depthwise(kernel=kernel, stride=step),
            Conv(channels=count, kernel=1, groups=groups),
        ]
    return StudentConfig(blocks=tuple(blocks), fractions=tuple(fractions))


def deepsense_student(
    *,
    sensors: int,
    branch: Sequence[int],
    fused: Sequence[int],
    hidden: int = 0,
    kernel: int = 5,
    fractions: Sequence[float] = FRACTIONS,
) -> StudentConfig:
    """Return the configuration of a student that has a branch for each sensor.

    The design is DeepSense (Yao et al. 2017). The branches are followed by convolutions that fuse
    the sensors, and by an optional GRU. All numbers of channels and hidden units are those of the
    largest capacity.

    Args:
        sensors: the number of sensors. The input's channels are split, in order, into this many
            equal parts.
        branch: the number of channels of each convolution in the branch of one sensor. Every such
            convolution halves the length of each axis.
        fused: the number of channels of each convolution after the branches. These convolutions
            see all sensors.
        hidden: the number of hidden units of the GRU; 0 leaves the GRU out.
        kernel: the kernel length of every convolution, on every axis.
        fractions: the share of the channels that each capacity uses, smallest first.
    """
    blocks: list[Block] = [
        Conv(channels=count * sensors, kernel=kernel, stride=2, groups=sensors) for count in branch
    ]
    blocks += [Conv(channels=count, kernel=kernel) for count in fused]
    if hidden:
        blocks.append(Gru(channels=hidden))
    return StudentConfig(blocks=tuple(blocks), fractions=tuple(fractions))


def recurrent_student(
    *,
    channels: Sequence[int],
    strides: Sequence[int],
    hidden: int,
    cell: type[Gru] | type[Lstm] = Gru,
    kernel: int = 5,
    fractions: Sequence[float] = FRACTIONS,
) -> StudentConfig:
    """Return the configuration of a student with convolutions and a recurrent layer.

    Inputs have one axis after the channels. The convolutions shorten this axis, and the recurrent
    layer runs along the shortened axis.

    Args:
        channels: the number of channels of each convolution at the largest capacity.
        strides: the stride of each convolution.
        hidden: the number of hidden units of the recurrent layer at the largest capacity.
        cell: the type of the recurrent layer, a GRU or an LSTM.
        kernel: the kernel length of every convolution.
        fractions: the share of the channels that each capacity uses, smallest first.
    """
    stem = [
        Conv(channels=count, kernel=kernel, stride=stride)
        for count, stride in _pairs(channels, strides)
    ]
    return StudentConfig(blocks=(*stem, cell(channels=hidden)), fractions=tuple(fractions))


def _pairs(channels: Sequence[int], strides: Sequence[int]) -> list[tuple[int, int]]:
    if len(channels) != len(strides) or not channels:
        raise SizesError("a student needs as many strides as channels, and at least one layer")
    return list(zip(channels, strides, strict=True))
