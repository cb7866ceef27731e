"""How a nest is rounded to 8 bits."""

from dataclasses import dataclass
from typing import Literal, get_args

from nestling_cloud.errors import CloudError

RangeMethod = Literal["percentile", "entropy", "mse"]
WeightMethod = Literal["peak", "mse"]


class QuantizationError(CloudError):
    """A way of rounding that there is not."""


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """How a nest is rounded to 8 bits.

    Attributes:
        ranges: what an activation's grid covers: all but the outermost values, or what keeps its
            distribution (entropy), or its values (mse), nearest to the unrounded ones.
        weights: what a row's grid covers: its largest weight, or what is nearest to its weights.
        bias_correction: take the mean shift that rounding causes out of every layer's output.
        equalize: even out the channels between layers first.
        aware_epochs: of fine-tuning with fake quantisation; 0 rounds after training only. Not with
            `equalize`, which would move what was tuned to its grid.
    """

    ranges: RangeMethod = "percentile"
    weights: WeightMethod = "peak"
    bias_correction: bool = True
    equalize: bool = False
    aware_epochs: int = 0

    def __post_init__(self) -> None:
        """Refuse what there is not."""
        if self.ranges not in get_args(RangeMethod):
            raise QuantizationError(f"ranges {self.ranges!r}: use one of {get_args(RangeMethod)}")
        if self.weights not in get_args(WeightMethod):
            raise QuantizationError(
                f"weights {self.weights!r}: use one of {get_args(WeightMethod)}"
            )
        if self.aware_epochs < 0:
            raise QuantizationError(f"{self.aware_epochs} epochs: 0 leaves fine-tuning out")
        if self.equalize and self.aware_epochs:
            raise QuantizationError(
                "equalize would move weights that aware_epochs have tuned to their grid: use one "
                "of the two"
            )
