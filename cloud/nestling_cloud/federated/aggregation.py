"""Averages the updates of clients that train smaller and larger parts of the same model.

Every client trains the prefix of the nested student that fits on its device. Each coordinate of a
weight tensor becomes the mean over the clients that hold the coordinate, weighted by their numbers
of examples (FjORD, Horvath et al. 2021; HeteroFL, Diao et al. 2021). A coordinate that no client
holds keeps its value. Each capacity (size of the student) has its own normalization, which is
averaged over the clients that trained this capacity. All functions are pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestling_core.student.weights import Arrays


@dataclass(frozen=True, kw_only=True)
class Update:
    """The weights that one client trained.

    Attributes:
        node: Flower's number for the client.
        capacity: the largest capacity that the client trained.
        examples: the number of examples that the client trained on.
        arrays: a mapping from names to the trained arrays. Each is a prefix of the full model's
            array, that is, the part that starts at index 0 of every axis.
    """

    node: int
    capacity: int
    examples: int
    arrays: Arrays


def aggregate(whole: Arrays, updates: Sequence[Update]) -> dict[str, NDArray[np.float32]]:
    """Return the full model with each coordinate averaged over the clients' updates.

    Updates are weighted by their numbers of examples. A coordinate that no client holds keeps its
    value.

    Args:
        whole: the full model at the start of the round, as a mapping from array names to arrays.
            The arrays are not changed.
        updates: the clients' updates. Their order does not change the result in any way.

    Returns:
        The full model at the end of the round.
    """
    ordered = sorted(updates, key=lambda update: update.node)
    return {name: _mean(name, array, ordered) for name, array in whole.items()}


def _mean(name: str, array: NDArray[np.float32], updates: Sequence[Update]) -> NDArray[np.float32]:
    total = np.zeros(array.shape, np.float64)
    weight = np.zeros(array.shape, np.float64)
    for update in updates:
        held = update.arrays.get(name)
        if held is not None:
            box = tuple(map(slice, held.shape))
            total[box] += held.astype(np.float64) * update.examples
            weight[box] += update.examples
    mean = np.divide(total, weight, out=array.astype(np.float64), where=weight > 0)
    return mean.astype(np.float32)
