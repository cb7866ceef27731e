"""Describes a teacher that is an ONNX file."""

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path


@dataclass(frozen=True)
class OnnxTeacher:
    """A trained teacher in an ONNX file, which is used and served as it is.

    The file's network takes one input, (N, *shape) or with the channels last, and returns the
    outputs (N, O) that the kind of the task asks for, for example logits or probabilities of the
    classes. Floats may be of any type, and there may be further outputs. The opset must be 7 or
    newer, and one that onnxruntime knows. A fixed batch size must be 1, or removable from the
    graph.

    Attributes:
        path: the ONNX file. Weights in separate files are found beside it.
        input: the name of the input tensor, which is needed only to be sure; None for the only one.
        output: the name of the output tensor; None if only one output fits the task.
        mean: what to subtract from the task's inputs before they go to the network: one number, or
            one for each channel, in the units of the task's signature.
        std: what to divide the result by: one number, or one for each channel.

    Raises:
        ValueError: `mean` or `std` has a value that is not finite, or a `std` is 0.
    """

    path: Path | str
    _: KW_ONLY
    input: str | None = None
    output: str | None = None
    mean: float | Sequence[float] = 0.0
    std: float | Sequence[float] = 1.0

    def __post_init__(self) -> None:
        """Raise ValueError for numbers that inputs cannot be normalized by."""
        numbers = [*channels_of(self.mean), *channels_of(self.std)]
        if not all(math.isfinite(number) for number in numbers) or 0 in channels_of(self.std):
            raise ValueError(
                f"OnnxTeacher: mean {self.mean} and std {self.std} must be finite, and std not 0"
            )


def channels_of(values: float | Sequence[float]) -> list[float]:
    """Return `mean` or `std` of a teacher as a list of one number, or of one for each channel."""
    return [float(value) for value in (values if isinstance(values, Sequence) else [values])]
