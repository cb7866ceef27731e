"""Converts weights to the array records of Flower's messages, and back."""

import numpy as np
from flwr.app import Array, ArrayRecord
from numpy.typing import NDArray

from nestling_core.student.weights import Arrays


def record_of(arrays: Arrays) -> ArrayRecord:
    """Return arrays as a record for a Flower message."""
    return ArrayRecord({name: Array(array) for name, array in arrays.items()})


def arrays_in(record: ArrayRecord) -> dict[str, NDArray[np.float32]]:
    """Return the arrays of a record from a Flower message, by name."""
    return {name: array.numpy() for name, array in record.items()}
