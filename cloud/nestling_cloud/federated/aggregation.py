"""The mean of clients that hold different parts of one nest. Pure.

Every coordinate takes the example-weighted mean over the clients that hold it (FjORD, Horvath et
al. 2021; HeteroFL, Diao et al. 2021); one that nobody holds keeps its value. A capacity's
normalisation is a set of arrays of its own, so that it averages over the clients that trained that
capacity.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestling_core.student.weights import Arrays


@dataclass(frozen=True, kw_only=True)
class Update:
    """What one client made of its prefix.

    Attributes:
        node: the client.
        capacity: the largest that it trained.
        examples: that it trained on.
        arrays: boxes from the origin of the whole arrays, by name.
    """

    node: int
    capacity: int
    examples: int
    arrays: Arrays


def aggregate(whole: Arrays, updates: Sequence[Update]) -> dict[str, NDArray[np.float32]]:
    """Average clients' boxes into the whole arrays, coordinate by coordinate.

    Args:
        whole: the model that the round began with; it is not changed.
        updates: in any order: the result is the same, bit for bit.

    Returns:
        The model that the round ends with.
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
