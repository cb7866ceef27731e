"""Defines the options for quantizing a nested student to 8 bits."""

from dataclasses import dataclass
from typing import Literal, get_args

from nestling_cloud.errors import CloudError

RangeMethod = Literal["percentile", "entropy", "mse"]
WeightMethod = Literal["peak", "mse"]


class QuantizationError(CloudError):
    """Raised when a quantization option has an invalid value, or two options exclude each other."""


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """The options for quantizing a nested student to 8 bits.

    Attributes:
        ranges: the method that chooses the range of activations:

            - "percentile": the range of all but the outermost values.
            - "entropy": the range that changes the distribution of the values least.
            - "mse": the range with the smallest mean squared error.
        weights: the method that chooses the range of a row of weights. "peak" chooses the range up
            to the row's largest absolute weight, and "mse" the range with the smallest mean squared
            error.
        bias_correction: True to correct the biases so that every layer keeps the mean output that
            it had before rounding.
        equalize: True to equalize the ranges of channels across layers before the quantization.
        aware_epochs: the number of epochs of fine-tuning with simulated rounding; 0 for no
            fine-tuning. It cannot be combined with `equalize`, which would change the tuned
            weights.
    """

    ranges: RangeMethod = "percentile"
    weights: WeightMethod = "peak"
    bias_correction: bool = True
    equalize: bool = False
    aware_epochs: int = 0

    def __post_init__(self) -> None:
        """Raise QuantizationError if a value is invalid, or if two options exclude each other."""
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
