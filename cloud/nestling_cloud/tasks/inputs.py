"""Defines what inputs may be: an array in memory, or a file that is read in batches."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.tasks.stored_inputs import Rows, StoredInputs, StoredInputsError

BATCH_BYTES = 16_000_000
"""About how many bytes of float32 inputs are read at a time."""


class Inputs(Protocol):
    """Many inputs (N, *shape), as a float32 array or as `StoredInputs`.

    Indexing returns a float32 array in memory, so large inputs are indexed a batch at a time.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of inputs, and the shape of an input."""
        ...

    @property
    def ndim(self) -> int:
        """The number of axes, including that of the inputs."""
        ...

    @property
    def dtype(self) -> "np.dtype[Any]":
        """The type of the values, float32."""
        ...

    def __len__(self) -> int:
        """Return the number of inputs."""
        ...

    def __getitem__(self, rows: Any, /) -> Any:
        """Return one input (*shape), or several inputs (N, *shape), in memory.

        `StoredInputs` take an index, a slice, indices or a mask, but no tuple.
        """
        ...

    def __iter__(self) -> Iterator[Any]:
        """Yield every input in order."""
        ...

    def __array__(self) -> NDArray[np.float32]:
        """Return all inputs in memory."""
        ...


def rows_of(inputs: Inputs, rows: Rows) -> Inputs:
    """Return some of the inputs, without reading those that are in a file.

    Args:
        inputs: the inputs, (N, *shape).
        rows: a slice, indices, or a mask with one value for each input.
    """
    return inputs.rows(rows) if isinstance(inputs, StoredInputs) else inputs[rows]


def batch_size(inputs: Inputs) -> int:
    """Return how many inputs make a batch of about `BATCH_BYTES`, a multiple of 128."""
    row_bytes = 4 * int(np.prod(inputs.shape[1:]))
    return max(1, BATCH_BYTES // max(row_bytes, 1) // 128) * 128


def batches_of(inputs: Inputs, size: int | None = None) -> Iterator[NDArray[np.float32]]:
    """Yield all inputs in order, in memory, a batch at a time.

    Args:
        inputs: the inputs, (N, *shape).
        size: the number of inputs in a batch; None for batches of about `BATCH_BYTES`.
    """
    size = size or batch_size(inputs)
    for start in range(0, len(inputs), size):
        yield inputs[start : start + size]


def not_finite(inputs: Inputs) -> NDArray[np.int64]:
    """Return the indices of the inputs that have values that are not finite, in order."""
    finite = [
        np.isfinite(batch).reshape(len(batch), -1).all(axis=1) for batch in batches_of(inputs)
    ]
    return np.flatnonzero(~np.concatenate(finite))


def appended(inputs: Inputs, others: NDArray[np.float32]) -> Inputs:
    """Return inputs and then others, (N, *shape), without reading those that are in a file."""
    if isinstance(inputs, StoredInputs):
        return inputs.appended(others)
    return np.concatenate([inputs[:], others])


def joined(parts: Sequence[Inputs]) -> Inputs:
    """Return several parts as one, in order.

    Args:
        parts: arrays, or parts of one file of inputs.

    Raises:
        StoredInputsError: some parts are in a file, but not all of them in the same one.
    """
    stored = [part for part in parts if isinstance(part, StoredInputs)]
    if not stored:
        return np.concatenate([part[:] for part in parts])
    if len(stored) < len(parts):
        raise StoredInputsError(
            "inputs in a file cannot be joined with an array; write all of them to one file"
        )
    return StoredInputs.joined(stored)
