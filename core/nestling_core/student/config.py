"""Sizes of a nested student: its blocks, and the share of them that each capacity uses."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nestling_core.student.blocks import Block, Conv, Depthwise, Gru, Lstm, Shuffle, SizesError

FRACTIONS = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, kw_only=True)
class StudentConfig:
    """Sizes of a nested student.

    Attributes:
        blocks: the blocks in order, with their channels at the largest capacity. A mean over the
            remaining axes and a linear layer follow them.
        fractions: share of the channels that each capacity uses, rising; the last is 1.
        widths: used instead of fractions where given: for each capacity, smallest first, the
            channels of every block that has its own (convolutions and recurrent blocks).
    """

    blocks: tuple[Block, ...]
    fractions: tuple[float, ...] = FRACTIONS
    widths: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        """Reject sizes that do not form a nest."""
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
        """Number of nested sizes, K."""
        return len(self.widths or self.fractions)

    @property
    def whole(self) -> tuple[int, ...]:
        """Channels at the largest capacity of the blocks that have their own."""
        return tuple(block.channels for block in self._wide)

    @property
    def _wide(self) -> tuple[Conv | Gru | Lstm, ...]:
        return tuple(block for block in self.blocks if isinstance(block, Conv | Gru | Lstm))

    def widths_at(self, capacity: int) -> tuple[int, ...]:
        """Return the channels at a capacity (1 to K) of the blocks that have their own."""
        if self.widths:
            return self.widths[capacity - 1]
        share = self.fractions[capacity - 1]
        return tuple(_share(block, share) for block in self._wide)

    def alone(self, capacity: int) -> "StudentConfig":
        """Return the configuration of one capacity as a student of its own."""
        return self.narrowed(self.widths_at(capacity))

    def narrowed(self, widths: Sequence[int]) -> "StudentConfig":
        """Return the configuration of a single-capacity student with the given channels.

        Args:
            widths: channels of the blocks that have their own, in order.

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
        return StudentConfig(blocks=blocks, fractions=(1.0,))


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
    """Make a student of dense convolutions, the family that int8 speeds up most.

    Args:
        channels: channels of each convolution at the largest capacity.
        strides: stride of each convolution.
        kernel: kernel length of every convolution.
        fractions: share of the channels that each capacity uses.
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
    """Make a student of depthwise separable convolutions (MobileNet, Howard et al. 2017).

    The first convolution is dense.

    Args:
        channels: channels of each layer at the largest capacity.
        strides: stride of each layer.
        kernel: kernel length of the dense and the depthwise convolutions.
        fractions: share of the channels that each capacity uses.
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
    """Make a student of grouped pointwise convolutions with shuffles (Zhang et al. 2018).

    The first convolution is dense, and unlike in ShuffleNet the units have no shortcut. Channels
    are split twice: choose multiples of the square of `groups` at every capacity.

    Args:
        channels: channels of each layer at the largest capacity.
        strides: stride of each layer.
        groups: groups of the pointwise convolutions.
        kernel: kernel length of the dense and the depthwise convolutions.
        fractions: share of the channels that each capacity uses.
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
    """Make a student with a branch for each sensor (DeepSense, Yao et al. 2017).

    Convolutions that fuse the sensors follow the branches, then an optional GRU.

    Args:
        sensors: number of sensors; the input's channels split into as many equal parts, in order.
        branch: channels of one sensor's convolutions, each of which halves the axis.
        fused: channels of the convolutions that see all sensors.
        hidden: hidden units of the GRU; 0 leaves it out.
        kernel: kernel length of every convolution.
        fractions: share of the channels that each capacity uses.
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
    """Make a student of convolutions that shorten the axis, and a nested recurrent layer.

    Args:
        channels: channels of each convolution at the largest capacity.
        strides: stride of each convolution.
        hidden: hidden units of the recurrent layer at the largest capacity.
        cell: type of the recurrent layer.
        kernel: kernel length of every convolution.
        fractions: share of the channels that each capacity uses.
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
