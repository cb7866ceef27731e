"""Rank a layer's filters by how well they separate classes: triplet response residuals.

NestDNN (Fang et al., MobiCom 2018) ranks a filter by how much further apart its responses to two
classes are than its responses to one. Here a response is the maximum of a filter's output, scaled
to mean 0 and deviation 1 over the inputs, because the next normalization undoes a filter's scale.
"""

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.learning.loop import TrainingError

Floats = NDArray[np.float32]
Triplets = NDArray[np.intp]

# Spread that rounding alone may cause, as a part of a filter's largest response.
_ROUNDING = 1e-5


class RankingError(TrainingError):
    """The inputs do not show how classes differ."""


def draw_triplets(labels: NDArray[np.int64], count: int, rng: np.random.Generator) -> Triplets:
    """Draw triplets (anchor, positive, negative): two inputs of one class, one of another.

    Args:
        labels: class indices, (N,).
        count: triplets to draw.
        rng: for the draws.

    Returns:
        Indices of inputs, (count, 3).

    Raises:
        RankingError: there is only one class, or no class has two inputs.
    """
    classes, sizes = np.unique(labels, return_counts=True)
    if len(classes) < 2 or sizes.max() < 2:
        raise RankingError(
            "triplets need two classes and two inputs of one of them; the classes have "
            f"{sizes.tolist()} inputs"
        )
    anchors = rng.choice(np.flatnonzero(np.isin(labels, classes[sizes > 1])), count)
    found = np.empty((count, 3), np.intp)
    for row, anchor in zip(found, anchors, strict=True):
        alike = labels == labels[anchor]
        others = np.flatnonzero(alike)
        row[:] = anchor, rng.choice(others[others != anchor]), rng.choice(np.flatnonzero(~alike))
    return found


def normalized(responses: Floats) -> Floats:
    """Scale each filter's responses (N, F) to mean 0 and deviation 1, a dead filter's to 0."""
    alive, deviation = alive_filters(responses), responses.std(axis=0)
    scaled = (responses - responses.mean(axis=0)) / np.where(alive, deviation, 1)
    return np.where(alive, scaled, np.float32(0))


def alive_filters(responses: Floats) -> NDArray[np.bool_]:
    """Return which filters respond differently to different inputs, beyond rounding, (F,)."""
    varied: NDArray[np.bool_] = responses.std(axis=0) > _ROUNDING * np.abs(responses).max(axis=0)
    return varied


def triplet_residuals(responses: Floats, triplets: Triplets) -> NDArray[np.float64]:
    """Compute the triplet response residual of every filter.

    Args:
        responses: normalized, (N, F).
        triplets: indices of anchor, positive and negative, (T, 3).

    Returns:
        Sum over triplets of |anchor - negative|^2 - |anchor - positive|^2, (F,).
    """
    anchor, positive, negative = (responses[triplets[:, i]].astype(np.float64) for i in range(3))
    residuals: NDArray[np.float64] = (
        np.square(anchor - negative) - np.square(anchor - positive)
    ).sum(axis=0)
    return residuals


def filter_worths(responses: Floats, triplets: Triplets) -> NDArray[np.float64]:
    """Return the residuals of filters regardless of their scale, -inf for dead filters, (F,).

    Args:
        responses: not normalized, (N, F).
        triplets: indices of anchor, positive and negative, (T, 3).
    """
    residuals = triplet_residuals(normalized(responses), triplets)
    return np.where(alive_filters(responses), residuals, -np.inf)


def best_first(residuals: NDArray[np.float64]) -> list[int]:
    """Order filters by falling residual; equal ones keep their order."""
    return [int(index) for index in np.argsort(-residuals, kind="stable")]
