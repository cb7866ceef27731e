"""Average the updates of clients that hold different prefixes of one nest. Pure.

Every coordinate becomes the mean over the clients that hold it, weighted by their examples (FjORD,
Horvath et al. 2021; HeteroFL, Diao et al. 2021); a coordinate that no client holds keeps its value.
Each capacity's normalization has arrays of its own, so it is averaged over the clients that trained
that capacity.
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
        capacity: largest capacity that the client trained.
        examples: number of examples that it trained on.
        arrays: weights by name; each is the leading box of the whole array.
    """

    node: int
    capacity: int
    examples: int
    arrays: Arrays


def aggregate(whole: Arrays, updates: Sequence[Update]) -> dict[str, NDArray[np.float32]]:
    """Average clients' arrays into the whole arrays, coordinate by coordinate.

    Args:
        whole: the model at the start of the round; it is not changed.
        updates: the clients' updates. Their order does not matter: the result is the same, bit for
            bit.

    Returns:
        The model at the end of the round.
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
