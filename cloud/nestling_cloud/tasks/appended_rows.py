"""Appends inputs that are in memory to the inputs of a file."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class RowSource(Protocol):
    """Many inputs, which are read by their indices."""

    @property
    def path(self) -> Path:
        """The file of the first inputs."""
        ...

    @property
    def count(self) -> int:
        """The number of inputs."""
        ...

    @property
    def dtype(self) -> "np.dtype[Any]":
        """The type of the values in the file."""
        ...

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of an input."""
        ...

    def read(self, rows: range | NDArray[np.int64]) -> NDArray[np.float32]:
        """Return inputs by their indices, (N, *row_shape), in memory.

        Raises:
            StoredInputsError: the file cannot be read, or was cut short.
        """
        ...


class AppendedRows:
    """The inputs of a source, and then others that are in memory.

    Attributes:
        path: the file of the source.
        count: the number of all inputs.
        dtype: the type of the values in the file.
        row_shape: the shape of an input.
    """

    def __init__(self, source: RowSource, rows: NDArray[np.float32]) -> None:
        """Append inputs to those of a source.

        Args:
            source: the source.
            rows: the other inputs, (N, *row_shape).

        Raises:
            ValueError: they have another shape.
        """
        if rows.shape[1:] != source.row_shape:
            raise ValueError(
                f"inputs of {rows.shape[1:]} cannot follow those of {source.row_shape}"
            )
        self.path, self.dtype, self.row_shape = source.path, source.dtype, source.row_shape
        self.count = source.count + len(rows)
        self._source, self._rows = source, np.asarray(rows, np.float32)

    def read(self, rows: range | NDArray[np.int64]) -> NDArray[np.float32]:
        """Return inputs by their indices, (N, *row_shape), in memory.

        Raises:
            StoredInputsError: the file cannot be read, or was cut short.
        """
        wanted = np.asarray(rows, np.int64)
        behind = wanted >= self._source.count
        if not behind.any():
            return self._source.read(rows)
        found = np.empty((len(wanted), *self.row_shape), np.float32)
        found[~behind] = self._source.read(wanted[~behind])
        found[behind] = self._rows[wanted[behind] - self._source.count]
        return found
