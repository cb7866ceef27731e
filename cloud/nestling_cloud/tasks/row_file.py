"""Reads and writes the rows of an array in a file, without loading the file into memory."""

import os
import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray


class RowFile:
    """Rows of one size in an open file, which is closed when the object is no longer used.

    The rows are read with `pread`, which keeps no position. Threads and forked processes can
    therefore share the file.

    Attributes:
        name: the name of the file in error messages.
        dtype: the type of the values.
        row_shape: the shape of a row.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        name: str,
        dtype: "np.dtype[Any]",
        row_shape: tuple[int, ...],
        start: int = 0,
    ) -> None:
        """Take over an open file.

        Args:
            descriptor: the descriptor of the file, which the object closes.
            name: the name of the file in error messages.
            dtype: the type of the values.
            row_shape: the shape of a row.
            start: the offset of the first row, in bytes.
        """
        self.name, self.dtype, self.row_shape = name, dtype, row_shape
        self._descriptor, self._start = descriptor, start
        self._row_bytes = dtype.itemsize * int(np.prod(row_shape))
        weakref.finalize(self, os.close, descriptor)

    def size_of(self, count: int) -> int:
        """Return the size in bytes of a file with `count` rows."""
        return self._start + count * self._row_bytes

    def read(self, rows: range | NDArray[np.int64]) -> NDArray[Any]:
        """Return rows by their indices, (N, *row_shape), in memory.

        Raises:
            OSError: the file cannot be read.
            EOFError: the file was cut short.
        """
        wanted = np.asarray(rows, np.int64)
        found = np.empty((len(wanted), *self.row_shape), self.dtype)
        if not found.size:
            return found
        flat = found.reshape(-1).view(np.uint8).data
        # Neighbors in the file are read by one call.
        ends = [*(np.flatnonzero(np.diff(wanted) != 1) + 1).tolist(), len(wanted)]
        begin = 0
        for end in ends:
            part = flat[begin * self._row_bytes : end * self._row_bytes]
            self._fill(part, self._start + int(wanted[begin]) * self._row_bytes)
            begin = end
        return found

    def _fill(self, part: memoryview, offset: int) -> None:
        while part:
            count = os.preadv(self._descriptor, [part], offset)
            if not count:
                raise EOFError(f"{self.name} was cut short while it was read")
            part, offset = part[count:], offset + count

    def write(self, first: int, rows: NDArray[Any]) -> None:
        """Write rows, (N, *row_shape), of which the first gets the index `first`.

        Raises:
            OSError: the disk is full, or the file cannot be written.
        """
        part = np.ascontiguousarray(rows, self.dtype).reshape(-1).view(np.uint8).data
        offset = self._start + first * self._row_bytes
        while part:
            count = os.pwrite(self._descriptor, part, offset)
            part, offset = part[count:], offset + count
