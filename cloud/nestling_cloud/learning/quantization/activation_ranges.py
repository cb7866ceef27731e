"""Chooses the range of activations that an 8-bit grid covers."""

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
# Most values that the other methods use; more hardly change the range and cost time.
_SAMPLED = 200_000
_SHARES = np.linspace(1.0, 0.2, 81)
_BINS = 2048


def activation_range(values: Floats, method: RangeMethod = "percentile") -> ActivationRange:
    """Return the 8-bit grid for a layer's activations.

    Args:
        values: the activations of the layer, of any shape.
        method: the way to choose the range. `percentile` clips 0.01% of the values at each end.
            `mse` minimizes the mean squared rounding error. `entropy` minimizes the KL divergence
            between the distributions of the values before and after rounding (Migacz, TensorRT,
            2017). `mse` and `entropy` use at most 200,000 of the values.
    """
    low, high = _BOUNDS[method](values.ravel())
    return grid_between(low, high)


def _percentile(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, (_CLIPPED, 1 - _CLIPPED))
    return float(low), float(high)


def _mse(values: Floats) -> tuple[float, float]:
    sample = _sample(values)
    bounds = [_clip(sample, share) for share in _SHARES]
    return min(bounds, key=lambda ends: _squared_error(sample, *ends))


def _squared_error(values: Floats, low: float, high: float) -> float:
    grid = grid_between(low, high)
    integers = np.clip(np.rint(values / grid.scale) + grid.zero_point, 0, 255)
    return float(np.square((integers - grid.zero_point) * grid.scale - values).mean())


def _entropy(values: Floats) -> tuple[float, float]:
    sample = _sample(values)
    sample = sample[sample != 0]  # the zeros of a ReLU are exact on every grid
    peak = float(np.abs(sample).max(initial=0.0))
    if peak <= SMALLEST_PEAK:
        return 0.0, 0.0
    counts, _ = np.histogram(np.abs(sample), _BINS, (0.0, peak))
    # Both signs share the grid's 256 steps.
    levels = 128 if sample.min() < 0 < sample.max() else 256
    ends = range(levels, _BINS + 1, 16)
    best = min(ends, key=lambda end: _divergence(counts, end, levels))
    return _clip(sample, best / _BINS)


def _divergence(counts: NDArray[np.int64], end: int, levels: int) -> float:
    """Return the KL divergence between a histogram before and after clipping and rounding.

    Args:
        counts: the number of values in each bin of the histogram of magnitudes.
        end: the number of bins to keep. Values in later bins are clipped into the last kept bin.
        levels: the number of levels to which the kept bins are rounded.
    """
    kept = counts[:end].astype(np.float64)
    step = np.arange(end) * levels // end
    filled = kept > 0
    sums = np.bincount(step, kept, levels)
    spread = np.bincount(step, filled, levels)
    coarse = np.where(filled, sums[step] / np.maximum(spread[step], 1), 0.0)
    kept[-1] += counts[end:].sum()  # clipped values fall into the last bin
    coarse = np.where((kept > 0) & (coarse == 0), 1e-9, coarse)
    p, q = kept / kept.sum(), coarse / coarse.sum()
    return float((p[p > 0] * np.log(p[p > 0] / q[p > 0])).sum())


def _clip(values: Floats, share: float) -> tuple[float, float]:
    """Return the range of the values, cut off at a share of the largest magnitude on each side."""
    low, high = float(values.min()), float(values.max())
    limit = share * max(-low, high)
    return max(low, -limit), min(high, limit)


def _sample(values: Floats) -> Floats:
    return values[:: -(-len(values) // _SAMPLED)]


_BOUNDS: Mapping[RangeMethod, Callable[[Floats], tuple[float, float]]] = {
    "percentile": _percentile,
    "entropy": _entropy,
    "mse": _mse,
}
