"""Map real numbers to integers on 8-bit grids, for weights and activations."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SMALLEST_PEAK = 1e-30


@dataclass(frozen=True, kw_only=True)
class ActivationRange:
    """An unsigned 8-bit grid: real = scale * (integer - zero_point).

    Attributes:
        scale: step of the grid.
        zero_point: integer of real 0, 0 to 255.
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
    """Return the grid that covers both ends and has zero exactly on it.

    Args:
        low: smallest real number.
        high: largest real number.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255 if high - low > SMALLEST_PEAK else 1.0
    return ActivationRange(scale=scale, zero_point=round(-low / scale))


def round_weight(weight: Floats, scale: Floats) -> NDArray[np.int8]:
    """Round a weight to integers in [-127, 127].

    Args:
        weight: any shape.
        scale: one number per row, shaped like the weight's first axes.
    """
    rounded: NDArray[np.int8] = np.clip(np.rint(weight / spread(scale, weight.ndim)), -127, 127)
    return rounded.astype(np.int8)


def spread(scale: Floats, ndim: int) -> Floats:
    """Reshape scales of the first axes so that they multiply an array of `ndim` axes.

    Args:
        scale: shaped like the first axes.
        ndim: number of axes of the array.
    """
    return scale.reshape(*scale.shape, *(1,) * (ndim - scale.ndim))
