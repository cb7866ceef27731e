"""Defines the blocks that make up a student.

A block states its number of channels at the largest capacity. For each student family, a function
in `nestling_core.student.config` stacks the blocks.
"""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar


class SizesError(ValueError):
    """Raised when the sizes of a student or of a block are invalid, or do not form a nest."""


@dataclass(frozen=True, kw_only=True)
class Conv:
    """A convolution followed by normalization and a ReLU.

    Attributes:
        channels: the number of output channels of all groups together.
        kernel: the kernel length on every axis, which is odd.
        stride: the stride on every axis.
        groups: the number of independent groups of channels, for example one for each sensor. The
            first block of a student splits the input's channels into its groups. A later block must
            have as many groups as its input, or a single group.
    """

    kind: ClassVar[str] = "conv"

    channels: int
    kernel: int = 3
    stride: int = 1
    groups: int = 1

    def __post_init__(self) -> None:
        """Raise SizesError if a convolution cannot have these sizes."""
        _check_kernel(self.kernel, self.stride)
        if self.groups < 1 or self.channels < 1 or self.channels % self.groups:
            raise SizesError(f"{self.channels} channels do not split into {self.groups} groups")


@dataclass(frozen=True, kw_only=True)
class Depthwise:
    """A depthwise convolution, followed by normalization and a ReLU.

    Attributes:
        kernel: the kernel length on every axis, which is odd.
        stride: the stride on every axis.
    """

    kind: ClassVar[str] = "depthwise"

    kernel: int = 3
    stride: int = 1

    def __post_init__(self) -> None:
        """Raise SizesError if a convolution cannot have these sizes."""
        _check_kernel(self.kernel, self.stride)


@dataclass(frozen=True, kw_only=True)
class Shuffle:
    """A block without weights that distributes the channels of every group over all groups.

    Attributes:
        groups: the number of groups of the output. At every capacity, it must divide the number of
            channels in each group of the input.
    """

    kind: ClassVar[str] = "shuffle"

    groups: int

    def __post_init__(self) -> None:
        """Raise SizesError if the number of groups is less than 1."""
        if self.groups < 1:
            raise SizesError(f"{self.groups} groups: use at least 1")


@dataclass(frozen=True, kw_only=True)
class Gru:
    """A gated recurrent unit along a single axis (Cho et al. 2014), in torch's formulation.

    Attributes:
        channels: the number of hidden units.
    """

    kind: ClassVar[str] = "gru"
    gates: ClassVar[int] = 3

    channels: int

    def __post_init__(self) -> None:
        """Raise SizesError if the number of hidden units is less than 1."""
        _check_hidden(self.channels)


@dataclass(frozen=True, kw_only=True)
class Lstm:
    """Long short-term memory along a single axis (Hochreiter & Schmidhuber 1997).

    Attributes:
        channels: the number of hidden units.
    """

    kind: ClassVar[str] = "lstm"
    gates: ClassVar[int] = 4

    channels: int

    def __post_init__(self) -> None:
        """Raise SizesError if the number of hidden units is less than 1."""
        _check_hidden(self.channels)


Block = Conv | Depthwise | Shuffle | Gru | Lstm
_KINDS: dict[str, type[Block]] = {
    block.kind: block for block in (Conv, Depthwise, Shuffle, Gru, Lstm)
}


def block_fields(block: Block) -> dict[str, Any]:
    """Return a block as a dictionary that JSON can represent."""
    return {"kind": block.kind, **asdict(block)}


def block_of(fields: dict[str, Any]) -> Block:
    """Return the block that a dictionary from `block_fields` describes.

    Raises:
        KeyError: the kind is missing or unknown.
        TypeError: the fields are not those of the kind.
        SizesError: the block cannot have these sizes.
    """
    return _KINDS[fields["kind"]](**{name: v for name, v in fields.items() if name != "kind"})


def _check_kernel(kernel: int, stride: int) -> None:
    if kernel < 1 or kernel % 2 == 0:
        raise SizesError(f"kernel {kernel}: use an odd length, or padding shifts the signal")
    if stride < 1:
        raise SizesError(f"stride {stride}: use at least 1")


def _check_hidden(channels: int) -> None:
    if channels < 1:
        raise SizesError(f"{channels} hidden units: use at least 1")
