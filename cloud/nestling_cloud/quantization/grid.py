"""8-bit grids: how real numbers become integers, for weights and for activations."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Share of activations that an 8-bit range clips at each end.
_CLIPPED = 1e-4
_SMALLEST_PEAK = 1e-30


@dataclass(frozen=True, kw_only=True)
class ActivationRange:
    """An unsigned 8-bit grid: real = scale * (integer - zero_point)."""

    scale: float
    zero_point: int


def quantize_weight(
    weight: NDArray[np.float32], rows: int = 1
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round to 8 bits, symmetric, one scale for each place on the first axes.

    Args:
        weight: any shape.
        rows: number of axes that have scales of their own.

    Returns:
        Integers of the same shape in [-127, 127], and the scales (*first axes,).
    """
    lead = weight.shape[:rows]
    peak = np.abs(weight.reshape(*lead, -1)).max(axis=-1)
    # A channel of next to nothing would get the scale zero.
    scale = np.where(peak > _SMALLEST_PEAK, peak / 127, 1.0).astype(np.float32)
    return np.clip(np.rint(weight / spread(scale, weight.ndim)), -127, 127).astype(np.int8), scale


def spread(scale: NDArray[np.float32], ndim: int) -> NDArray[np.float32]:
    """Scales of the first axes in a shape that multiplies an array of `ndim` axes."""
    return scale.reshape(*scale.shape, *(1,) * (ndim - scale.ndim))


def activation_range(values: NDArray[np.float32]) -> ActivationRange:
    """8-bit grid that covers all but the outermost values, and zero exactly."""
    low, high = np.quantile(values, (_CLIPPED, 1 - _CLIPPED))
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    scale = (high - low) / 255 if high - low > _SMALLEST_PEAK else 1.0
    return ActivationRange(scale=scale, zero_point=round(-low / scale))
