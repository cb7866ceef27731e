"""Chooses the scale of each weight row, which is the same at every capacity (size)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nestling_cloud.learning.quantization.grid import SMALLEST_PEAK, Floats, round_weight, spread
from nestling_cloud.recipes.quantization import WeightMethod
from nestling_core.student.layers import RecurrentLayer
from nestling_core.student.network import NestedStudent
from nestling_core.student.plan import HEAD_NAME, Shape, head_shape

# Shares of a row's peak that its grid may cover.
_SHARES = np.linspace(1.0, 0.6, 21)


@dataclass(frozen=True, kw_only=True)
class TensorGrid:
    """The properties of a weight tensor that, besides its values, determine its scales.

    Attributes:
        rows: the number of leading axes that index the tensor's rows. Each row has its own scale.
        uses: the number of capacities that use each weight, in the shape of the tensor.
    """

    rows: int
    uses: Floats


def tensor_grids(student: NestedStudent) -> Mapping[str, TensorGrid]:
    """Return the `TensorGrid` of each weight tensor, by the tensor's name."""
    capacities = range(1, student.config.capacities + 1)
    found = {
        layer.plan.tensor_name(name): TensorGrid(
            rows=2 if isinstance(layer, RecurrentLayer) or layer.plan.groups > 1 else 1,
            uses=_uses([layer.plan.weights(capacity)[name] for capacity in capacities]),
        )
        for layer in student.stack
        for name in layer.weights()
    }
    last, classes = student.stack[-1].plan, len(student.head)
    head = _uses([head_shape(last, classes, capacity) for capacity in capacities])
    return {**found, HEAD_NAME: TensorGrid(rows=1, uses=head)}


def _uses(boxes: list[Shape]) -> Floats:
    counts = np.zeros(boxes[-1], np.float32)
    for box in boxes:
        counts[tuple(map(slice, box))] += 1
    return counts


def weight_scales(weight: Floats, grid: TensorGrid, method: WeightMethod) -> Floats:
    """Return the scales of a tensor's rows, in the shape of the axes that index the rows.

    Args:
        weight: the tensor at the largest capacity.
        grid: the number of leading axes that index the rows, and the number of capacities that use
            each weight.
        method: the way to choose the scales. `peak` covers the largest magnitude in a row. `mse`
            minimizes the squared rounding error of a row, summed over its weights and over the
            capacities that use them.
    """
    peak = _peak_scales(weight, grid.rows)
    return peak if method == "peak" else _mse_scales(weight, peak, grid)


def _peak_scales(weight: Floats, rows: int) -> Floats:
    peak = np.abs(weight.reshape(*weight.shape[:rows], -1)).max(axis=-1)
    # A channel of zeros would get the scale zero.
    return np.where(peak > SMALLEST_PEAK, peak / 127, 1.0).astype(np.float32)


def _mse_scales(weight: Floats, peak: Floats, grid: TensorGrid) -> Floats:
    candidates = [(peak * share).astype(np.float32) for share in _SHARES]
    errors = np.stack([_errors(weight, scale, grid.uses) for scale in candidates])
    best = errors.argmin(axis=0)
    found: Floats = np.take_along_axis(np.stack(candidates), best[None], axis=0)[0]
    return found


def _errors(weight: Floats, scale: Floats, uses: Floats) -> Floats:
    """Return the squared rounding error of each row, in which each weight counts `uses` times."""
    off = round_weight(weight, scale) * spread(scale, weight.ndim) - weight
    errors: Floats = (uses * off**2).reshape(*scale.shape, -1).sum(axis=-1)
    return errors
