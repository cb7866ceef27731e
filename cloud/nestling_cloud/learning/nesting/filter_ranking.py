"""Which filters of a layer tell classes apart: triplet response residuals.

NestDNN (Fang et al., MobiCom 2018) ranks filters by how much further apart a filter's responses to
two classes are than its responses to one. Here a response is the maximum over what a filter puts
out, brought to mean 0 and deviation 1 over the inputs, so that a filter's scale, which the next
normalisation undoes, does not count.
"""

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.learning.loop import TrainingError

Floats = NDArray[np.float32]
Triplets = NDArray[np.intp]

# Part of a filter's largest response by which rounding alone may move it.
_ROUNDING = 1e-5


class RankingError(TrainingError):
    """Inputs that tell nothing of classes."""


def draw_triplets(labels: NDArray[np.int64], count: int, rng: np.random.Generator) -> Triplets:
    """Draw (anchor, positive, negative): two inputs of one class, one of another.

    Args:
        labels: class indices (N,).
        count: triplets to draw.
        rng: draws.

    Returns:
        Indices of inputs (count, 3).

    Raises:
        RankingError: there is one class only, or none has two inputs.
    """
    classes, sizes = np.unique(labels, return_counts=True)
    if len(classes) < 2 or sizes.max() < 2:
        raise RankingError(
            f"triplets need two classes and two inputs of one of them, not {sizes.tolist()} of each"
        )
    anchors = rng.choice(np.flatnonzero(np.isin(labels, classes[sizes > 1])), count)
    found = np.empty((count, 3), np.intp)
    for row, anchor in zip(found, anchors, strict=True):
        alike = labels == labels[anchor]
        others = np.flatnonzero(alike)
        row[:] = anchor, rng.choice(others[others != anchor]), rng.choice(np.flatnonzero(~alike))
    return found


def normalized(responses: Floats) -> Floats:
    """Responses (N, F) with mean 0 and deviation 1 for each filter; a dead filter's are 0."""
    alive, deviation = alive_filters(responses), responses.std(axis=0)
    scaled = (responses - responses.mean(axis=0)) / np.where(alive, deviation, 1)
    return np.where(alive, scaled, np.float32(0))


def alive_filters(responses: Floats) -> NDArray[np.bool_]:
    """Which filters answer inputs differently, beyond rounding, (F,)."""
    varied: NDArray[np.bool_] = responses.std(axis=0) > _ROUNDING * np.abs(responses).max(axis=0)
    return varied


def triplet_residuals(responses: Floats, triplets: Triplets) -> NDArray[np.float64]:
    """Triplet response residual of every filter.

    Args:
        responses: (N, F), normalised.
        triplets: (T, 3) indices of anchor, positive, negative.

    Returns:
        (F,): sum over triplets of |anchor - negative|^2 - |anchor - positive|^2.
    """
    anchor, positive, negative = (responses[triplets[:, i]].astype(np.float64) for i in range(3))
    residuals: NDArray[np.float64] = (
        np.square(anchor - negative) - np.square(anchor - positive)
    ).sum(axis=0)
    return residuals


def filter_worths(responses: Floats, triplets: Triplets) -> NDArray[np.float64]:
    """Residuals of filters whatever their scale, those that never answer below all others.

    Args:
        responses: (N, F), as they come.
        triplets: (T, 3).
    """
    residuals = triplet_residuals(normalized(responses), triplets)
    return np.where(alive_filters(responses), residuals, -np.inf)


def best_first(residuals: NDArray[np.float64]) -> list[int]:
    """Filters by falling residual; equal ones keep their order."""
    return [int(index) for index in np.argsort(-residuals, kind="stable")]
