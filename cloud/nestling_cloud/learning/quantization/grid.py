"""Defines the 8-bit grids of activations, and rounds weights to integers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SMALLEST_PEAK = 1e-30


@dataclass(frozen=True, kw_only=True)
class ActivationRange:
    """An unsigned 8-bit grid, which represents the numbers scale * (integer - zero_point).

    Attributes:
        scale: the step between two neighboring numbers on the grid.
        zero_point: the integer that stands for the real number 0, from 0 to 255.
    """

    scale: float
    zero_point: int

    @property
    def low(self) -> float:
        """The smallest number on the grid."""
        return -self.scale * self.zero_point

    @property
    def high(self) -> float:
        """The largest number on the grid."""
        return self.scale * (255 - self.zero_point)


def grid_between(low: float, high: float) -> ActivationRange:
    """Return the 8-bit grid that covers a range and represents zero exactly.

    The range is extended to zero if it does not contain zero.

    Args:
        low: the smallest real number of the range.
        high: the largest real number of the range.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255 if high - low > SMALLEST_PEAK else 1.0
    return ActivationRange(scale=scale, zero_point=round(-low / scale))


def round_weight(weight: Floats, scale: Floats) -> NDArray[np.int8]:
    """Return a weight tensor divided by its scales and rounded to integers in [-127, 127].

    Args:
        weight: the weight tensor, of any shape.
        scale: the scale of each row, in the shape of the tensor's first axes.
    """
    rounded: NDArray[np.int8] = np.clip(np.rint(weight / spread(scale, weight.ndim)), -127, 127)
    return rounded.astype(np.int8)


def spread(scale: Floats, ndim: int) -> Floats:
    """Return scales with axes of length 1 appended, so that they can multiply an array.

    Args:
        scale: the scales, in the shape of the array's first axes.
        ndim: the number of axes of the array.
    """
    return scale.reshape(*scale.shape, *(1,) * (ndim - scale.ndim))
