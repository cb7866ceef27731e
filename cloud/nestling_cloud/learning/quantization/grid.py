"""8-bit grids: how real numbers become integers, for weights and for activations."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SMALLEST_PEAK = 1e-30


@dataclass(frozen=True, kw_only=True)
class ActivationRange:
    """An unsigned 8-bit grid: real = scale * (integer - zero_point)."""

    scale: float
    zero_point: int

    @property
    def low(self) -> float:
        """The smallest number on it."""
        return -self.scale * self.zero_point

    @property
    def high(self) -> float:
        """The largest number on it."""
        return self.scale * (255 - self.zero_point)


def grid_between(low: float, high: float) -> ActivationRange:
    """The grid that covers both ends, and zero exactly."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255 if high - low > SMALLEST_PEAK else 1.0
    return ActivationRange(scale=scale, zero_point=round(-low / scale))


def round_weight(weight: Floats, scale: Floats) -> NDArray[np.int8]:
    """Integers in [-127, 127], of the weight's shape.

    Args:
        weight: any shape.
        scale: of the first axes.
    """
    rounded: NDArray[np.int8] = np.clip(np.rint(weight / spread(scale, weight.ndim)), -127, 127)
    return rounded.astype(np.int8)


def spread(scale: Floats, ndim: int) -> Floats:
    """Scales of the first axes in a shape that multiplies an array of `ndim` axes."""
    return scale.reshape(*scale.shape, *(1,) * (ndim - scale.ndim))
