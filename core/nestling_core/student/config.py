"""Sizes of a nested student: its blocks, and how much of each every capacity takes."""

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
        blocks: in order, with their channels at the largest capacity; a mean over what is left of
            the axes and a linear layer follow.
        fractions: share of the channels that each capacity takes, rising, the last 1.
        widths: instead of fractions, the channels of every block that has any of its own
            (convolutions and recurrent ones) at each capacity, smallest first.
    """

    blocks: tuple[Block, ...]
    fractions: tuple[float, ...] = FRACTIONS
    widths: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        """Refuse sizes that make no nest."""
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
                    f"fractions {self.fractions} of channels {self.whole} give two capacities of "
                    f"the same widths {small}: choose more channels, or fewer fractions"
                )

    def _check_widths(self) -> None:
        for row in self.widths:
            if len(row) != len(self.whole) or min(row) < 1:
                raise SizesError(f"widths {row}: one of at least 1 for each of {self.whole}")
        for small, large in itertools.pairwise(self.widths):
            if small == large or any(a > b for a, b in zip(small, large, strict=True)):
                raise SizesError(f"widths {small} do not nest in {large}")
        if self.widths[-1] != self.whole:
            raise SizesError(f"widths {self.widths[-1]} of the largest are not {self.whole}")
        groups = [block.groups if isinstance(block, Conv) else 1 for block in self._wide]
        if any(w % g for row in self.widths for w, g in zip(row, groups, strict=True)):
            raise SizesError(f"widths {self.widths} do not split into groups of {groups}")

    @property
    def capacities(self) -> int:
        """Number of nested sizes, K."""
        return len(self.widths or self.fractions)

    @property
    def whole(self) -> tuple[int, ...]:
        """Channels of the blocks that have any of their own, at the largest capacity."""
        return tuple(block.channels for block in self._wide)

    @property
    def _wide(self) -> tuple[Conv | Gru | Lstm, ...]:
        return tuple(block for block in self.blocks if isinstance(block, Conv | Gru | Lstm))

    def widths_at(self, capacity: int) -> tuple[int, ...]:
        """Channels of the blocks that have any of their own at a capacity (1 to K)."""
        if self.widths:
            return self.widths[capacity - 1]
        share = self.fractions[capacity - 1]
        return tuple(_share(block, share) for block in self._wide)

    def alone(self, capacity: int) -> "StudentConfig":
        """The student of one capacity by itself."""
        return self.narrowed(self.widths_at(capacity))

    def narrowed(self, widths: Sequence[int]) -> "StudentConfig":
        """The student of a single capacity with these channels.

        Args:
            widths: of the blocks that have any of their own.

        Raises:
            SizesError: not one width for each of these blocks, or a block cannot have it.
        """
        if len(widths) != len(self.whole):
            raise SizesError(f"widths {tuple(widths)}: one for each of {self.whole}")
        left = iter(widths)
        blocks = tuple(
            replace(block, channels=next(left)) if isinstance(block, Conv | Gru | Lstm) else block
            for block in self.blocks
        )
        return StudentConfig(blocks=blocks, fractions=(1.0,))


def _share(block: Conv | Gru | Lstm, share: float) -> int:
    groups = block.groups if isinstance(block, Conv) else 1
    # 70 * 0.1 is a little more than 7 in floating point.
    return groups * math.ceil(block.channels * share / groups - 1e-9)


def conv_student(
    *,
    channels: Sequence[int],
    strides: Sequence[int],
    kernel: int = 3,
    fractions: Sequence[float] = FRACTIONS,
) -> StudentConfig:
    """Dense convolutions: the family that int8 speeds up most."""
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
    """One dense convolution, then depthwise separable ones (MobileNet, Howard et al. 2017)."""
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
    """Grouped pointwise convolutions, shuffled between (ShuffleNet, Zhang et al. 2018).

    One dense convolution comes first, and units have no shortcut. Channels split twice: choose
    multiples of the square of `groups` at every capacity.
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
    """A branch of convolutions for each sensor, their fusion, recurrence (Yao et al. 2017).

    Args:
        sensors: parts of equal size that the input's channels split into, in order.
        branch: channels of one sensor's convolutions, each halving the axis.
        fused: channels of the convolutions that see all sensors.
        hidden: units of the GRU after them; 0 leaves it out.
        kernel: of every convolution.
        fractions: share of the channels that each capacity takes.
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
    """Convolutions that shorten the axis, then a recurrent layer whose hidden units nest."""
    stem = [
        Conv(channels=count, kernel=kernel, stride=stride)
        for count, stride in _pairs(channels, strides)
    ]
    return StudentConfig(blocks=(*stem, cell(channels=hidden)), fractions=tuple(fractions))


def _pairs(channels: Sequence[int], strides: Sequence[int]) -> list[tuple[int, int]]:
    if len(channels) != len(strides) or not channels:
        raise SizesError("a student needs as many strides as channels, and at least one layer")
    return list(zip(channels, strides, strict=True))
