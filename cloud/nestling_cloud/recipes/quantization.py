"""Options for quantizing a nested student to 8 bits."""

from dataclasses import dataclass
from typing import Literal, get_args

from nestling_cloud.errors import CloudError

RangeMethod = Literal["percentile", "entropy", "mse"]
WeightMethod = Literal["peak", "mse"]


class QuantizationError(CloudError):
    """A quantization option has an invalid value."""


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """How a nested student is quantized to 8 bits.

    Attributes:
        ranges: how the range of an activation is chosen. "percentile": all but the outermost
            values. "entropy": the range that changes the distribution of values least. "mse": the
            range with the smallest mean squared error.
        weights: how the range of a weight row is chosen. "peak": up to its largest weight. "mse":
            the range with the smallest mean squared error.
        bias_correction: subtract the mean shift that rounding causes from every layer's output.
        equalize: equalize the ranges of channels across layers first.
        aware_epochs: epochs of fine-tuning with fake quantization; 0 quantizes after training only.
            Cannot be combined with `equalize`, which would change the weights that were tuned.
    """

    ranges: RangeMethod = "percentile"
    weights: WeightMethod = "peak"
    bias_correction: bool = True
    equalize: bool = False
    aware_epochs: int = 0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            QuantizationError: a value is outside its range, or two options exclude each other.
        """
        if self.ranges not in get_args(RangeMethod):
            raise QuantizationError(
                f"ranges {self.ranges!r}: choose one of {get_args(RangeMethod)}"
            )
        if self.weights not in get_args(WeightMethod):
            raise QuantizationError(
                f"weights {self.weights!r}: choose one of {get_args(WeightMethod)}"
            )
        if self.aware_epochs < 0:
            raise QuantizationError(
                f"aware_epochs {self.aware_epochs}: choose 0 (no fine-tuning) or more"
            )
        if self.equalize and self.aware_epochs:
            raise QuantizationError(
                "equalize would change the weights that aware_epochs has tuned: use only one of "
                "the two"
            )
