"""What a student is stacked from. Widths are those of the largest capacity.

Families are nothing but stacks: see the functions of `nestling_core.student.config`.
"""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar


class SizesError(ValueError):
    """Sizes that make no nest."""


@dataclass(frozen=True, kw_only=True)
class Conv:
    """A convolution, its normalisation and a rectifier.

    Attributes:
        channels: put out, of all groups together.
        kernel: length on every axis, odd.
        stride: on every axis.
        groups: parts that do not see each other, for example one for each sensor. The first block
            splits the input's channels, later ones follow as many groups, and a block of one group
            joins what it follows.
    """

    kind: ClassVar[str] = "conv"

    channels: int
    kernel: int = 3
    stride: int = 1
    groups: int = 1

    def __post_init__(self) -> None:
        """Refuse sizes that no convolution has."""
        _check_kernel(self.kernel, self.stride)
        if self.groups < 1 or self.channels < 1 or self.channels % self.groups:
            raise SizesError(f"{self.channels} channels do not split into {self.groups} groups")


@dataclass(frozen=True, kw_only=True)
class Depthwise:
    """A convolution of each channel by itself, its normalisation and a rectifier.

    Attributes:
        kernel: length on every axis, odd.
        stride: on every axis.
    """

    kind: ClassVar[str] = "depthwise"

    kernel: int = 3
    stride: int = 1

    def __post_init__(self) -> None:
        """Refuse sizes that no convolution has."""
        _check_kernel(self.kernel, self.stride)


@dataclass(frozen=True, kw_only=True)
class Shuffle:
    """Deals the channels of every group out to all groups; has no weights.

    Attributes:
        groups: that the channels are in afterwards; the channels of each group before split into
            as many, at every capacity.
    """

    kind: ClassVar[str] = "shuffle"

    groups: int

    def __post_init__(self) -> None:
        """Refuse no groups."""
        if self.groups < 1:
            raise SizesError(f"{self.groups} groups hold no channels")


@dataclass(frozen=True, kw_only=True)
class Gru:
    """A gated recurrent unit along the one axis (Cho et al. 2014), in torch's formulation.

    Attributes:
        channels: hidden units.
    """

    kind: ClassVar[str] = "gru"
    gates: ClassVar[int] = 3

    channels: int

    def __post_init__(self) -> None:
        """Refuse no hidden units."""
        _check_hidden(self.channels)


@dataclass(frozen=True, kw_only=True)
class Lstm:
    """Long short-term memory along the one axis (Hochreiter & Schmidhuber 1997).

    Attributes:
        channels: hidden units.
    """

    kind: ClassVar[str] = "lstm"
    gates: ClassVar[int] = 4

    channels: int

    def __post_init__(self) -> None:
        """Refuse no hidden units."""
        _check_hidden(self.channels)


Block = Conv | Depthwise | Shuffle | Gru | Lstm
_KINDS: dict[str, type[Block]] = {
    block.kind: block for block in (Conv, Depthwise, Shuffle, Gru, Lstm)
}


def block_fields(block: Block) -> dict[str, Any]:
    """A block as what JSON can say."""
    return {"kind": block.kind, **asdict(block)}


def block_of(fields: dict[str, Any]) -> Block:
    """Read what `block_fields` wrote.

    Raises:
        KeyError: it has no kind, or one that is not known.
        TypeError: it has other sizes than its kind.
        SizesError: sizes that no block has.
    """
    return _KINDS[fields["kind"]](**{name: v for name, v in fields.items() if name != "kind"})


def _check_kernel(kernel: int, stride: int) -> None:
    if kernel < 1 or kernel % 2 == 0:
        raise SizesError(f"kernel {kernel} is not odd: padding would shift the signal")
    if stride < 1:
        raise SizesError(f"stride {stride} leads nowhere")


def _check_hidden(channels: int) -> None:
    if channels < 1:
        raise SizesError(f"{channels} hidden units remember nothing")
