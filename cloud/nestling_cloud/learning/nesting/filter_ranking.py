"""Ranks a layer's filters by how well they separate the classes.

The measure is NestDNN's triplet response residual (Fang et al., MobiCom 2018). It compares the
distance between a filter's responses to two inputs of different classes with the distance between
its responses to two inputs of the same class. Here, the response to an input is the maximum of the
filter's output over all positions. Responses are scaled to mean 0 and standard deviation 1 over the
inputs, because the next normalization undoes a filter's scale anyway.
"""

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.learning.loop import TrainingError

Floats = NDArray[np.float32]
Triplets = NDArray[np.intp]

# Spread that rounding alone may cause, as a part of a filter's largest response.
_ROUNDING = 1e-5


class RankingError(TrainingError):
    """Raised when there are too few classes or inputs to form the triplets that rank filters."""


def draw_triplets(labels: NDArray[np.int64], count: int, rng: np.random.Generator) -> Triplets:
    """Return random triplets, each of two inputs of one class and one input of another class.

    Args:
        labels: the class index of each input, (N,).
        count: the number of triplets to return.
        rng: the random generator for the choice of the inputs.

    Returns:
        The indices of the inputs, (count, 3), in the order anchor, positive, negative. The anchor
        and the positive have the same class.

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
    """Return each filter's responses (N, F) scaled to mean 0 and standard deviation 1.

    A dead filter, whose response is the same for all inputs, gets responses of 0.
    """
    alive, deviation = alive_filters(responses), responses.std(axis=0)
    scaled = (responses - responses.mean(axis=0)) / np.where(alive, deviation, 1)
    return np.where(alive, scaled, np.float32(0))


def alive_filters(responses: Floats) -> NDArray[np.bool_]:
    """Return a mask (F,) of the filters whose responses (N, F) vary beyond rounding errors."""
    varied: NDArray[np.bool_] = responses.std(axis=0) > _ROUNDING * np.abs(responses).max(axis=0)
    return varied


def triplet_residuals(responses: Floats, triplets: Triplets) -> NDArray[np.float64]:
    """Return the triplet response residual of every filter.

    The residual is high if a filter responds differently to different classes.

    Args:
        responses: the normalized responses, (N, F).
        triplets: the indices of anchor, positive and negative inputs, (T, 3).

    Returns:
        For each filter, the sum of |anchor - negative|^2 - |anchor - positive|^2 over the triplets,
        (F,). Here, each name stands for the response to that input.
    """
    anchor, positive, negative = (responses[triplets[:, i]].astype(np.float64) for i in range(3))
    residuals: NDArray[np.float64] = (
        np.square(anchor - negative) - np.square(anchor - positive)
    ).sum(axis=0)
    return residuals


def filter_worths(responses: Floats, triplets: Triplets) -> NDArray[np.float64]:
    """Return the triplet response residuals, (F,), of filters from their raw responses.

    Dead filters, whose response is the same for all inputs, get -inf.

    Args:
        responses: the responses before the normalization, (N, F).
        triplets: the indices of anchor, positive and negative inputs, (T, 3).
    """
    residuals = triplet_residuals(normalized(responses), triplets)
    return np.where(alive_filters(responses), residuals, -np.inf)


def best_first(residuals: NDArray[np.float64]) -> list[int]:
    """Return the indices of filters, the highest residual first; ties keep their order."""
    return [int(index) for index in np.argsort(-residuals, kind="stable")]
