"""Ranges of activations: what of their values an 8-bit grid covers."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.learning.quantization.grid import (
    SMALLEST_PEAK,
    ActivationRange,
    Floats,
    grid_between,
)
from nestling_cloud.recipes.quantization import RangeMethod

# Share of activations that `percentile` clips at each end.
_CLIPPED = 1e-4
# Values that the other methods look at; more change little and cost time.
_LOOKED_AT = 200_000
_SHARES = np.linspace(1.0, 0.2, 81)
_BINS = 2048


def activation_range(values: Floats, method: RangeMethod = "percentile") -> ActivationRange:
    """8-bit grid for a layer's activations, with zero exactly on it.

    Args:
        values: what the layer puts out, any shape.
        method: `percentile` leaves out the outermost values; `mse` has the smallest squared error;
            `entropy` keeps the distribution nearest (Migacz, TensorRT, 2017).
    """
    low, high = _BOUNDS[method](values.ravel())
    return grid_between(low, high)


def _percentile(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, (_CLIPPED, 1 - _CLIPPED))
    return float(low), float(high)


def _mse(values: Floats) -> tuple[float, float]:
    looked_at = _sample(values)
    bounds = [_clip(looked_at, share) for share in _SHARES]
    return min(bounds, key=lambda ends: _squared_error(looked_at, *ends))


def _squared_error(values: Floats, low: float, high: float) -> float:
    grid = grid_between(low, high)
    integers = np.clip(np.rint(values / grid.scale) + grid.zero_point, 0, 255)
    return float(np.square((integers - grid.zero_point) * grid.scale - values).mean())


def _entropy(values: Floats) -> tuple[float, float]:
    looked_at = _sample(values)
    looked_at = looked_at[looked_at != 0]  # a rectifier's zeros are on every grid
    peak = float(np.abs(looked_at).max(initial=0.0))
    if peak <= SMALLEST_PEAK:
        return 0.0, 0.0
    counts, _ = np.histogram(np.abs(looked_at), _BINS, (0.0, peak))
    # Both signs share the grid's 256 steps.
    levels = 128 if looked_at.min() < 0 < looked_at.max() else 256
    ends = range(levels, _BINS + 1, 16)
    best = min(ends, key=lambda end: _divergence(counts, end, levels))
    return _clip(looked_at, best / _BINS)


def _divergence(counts: NDArray[np.int64], end: int, levels: int) -> float:
    """KL divergence of the first `end` bins from what `levels` steps leave of them."""
    kept = counts[:end].astype(np.float64)
    step = np.arange(end) * levels // end
    filled = kept > 0
    sums = np.bincount(step, kept, levels)
    spread = np.bincount(step, filled, levels)
    coarse = np.where(filled, sums[step] / np.maximum(spread[step], 1), 0.0)
    kept[-1] += counts[end:].sum()  # what is clipped becomes the largest
    coarse = np.where((kept > 0) & (coarse == 0), 1e-9, coarse)
    p, q = kept / kept.sum(), coarse / coarse.sum()
    return float((p[p > 0] * np.log(p[p > 0] / q[p > 0])).sum())


def _clip(values: Floats, share: float) -> tuple[float, float]:
    """The values' ends, neither farther from zero than a share of the farther one."""
    low, high = float(values.min()), float(values.max())
    limit = share * max(-low, high)
    return max(low, -limit), min(high, limit)


def _sample(values: Floats) -> Floats:
    return values[:: -(-len(values) // _LOOKED_AT)]


_BOUNDS: Mapping[RangeMethod, Callable[[Floats], tuple[float, float]]] = {
    "percentile": _percentile,
    "entropy": _entropy,
    "mse": _mse,
}
