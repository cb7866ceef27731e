"""Reads a task's inputs from a file, so that they need not fit in memory.

The file is in numpy's format (`.npy`), with one row per input. `store_inputs` writes it. Rows are
read when they are used, and the file never counts as memory of the process.
"""

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.errors import CloudError
from nestling_cloud.tasks.appended_rows import AppendedRows, RowSource
from nestling_cloud.tasks.row_file import RowFile
from nestling_cloud.temporary_files import temporary_file
from nestling_core.file_sync import sync_folder

STORED_TYPES = ("uint8", "float16", "float32")
"""The types of number that a file of inputs may hold."""

WHITE = np.float32(255)
"""The divisor that turns the uint8 values of pictures into 0 to 1."""

_PREFIX = ".inputs-"

Rows = slice | Sequence[int] | NDArray[np.integer[Any]] | NDArray[np.bool_]


class StoredInputsError(CloudError):
    """Raised when a file of inputs cannot be written, or is damaged or of the wrong kind."""


class StoredInputs:
    """Inputs in a file, which are read when they are indexed.

    They are used like a float32 array (N, *shape): `inputs[3]`, `inputs[10:20]`,
    `inputs[indices]` and `inputs[mask]` return float32 arrays in memory. The values of a uint8 file
    are divided by 255. `rows` returns a part of the inputs without reading it. numpy's functions
    read all of them.

    The inputs can be pickled; the copy opens the file again. They can also be used by forked
    processes and by several threads.

    Attributes:
        dtype: the type of the values that are returned, always float32.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, path: Path) -> None:
        """Open a file of inputs.

        Args:
            path: the path of a `.npy` file of uint8, float16 or float32 values, (N, *shape).

        Raises:
            StoredInputsError: the file cannot be opened, is damaged, or holds something else.
        """
        self._file: RowSource = _File(path)
        self._chosen: range | NDArray[np.int64] = range(self._file.count)

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of inputs, and the shape of an input."""
        return (len(self._chosen), *self._file.row_shape)

    @property
    def ndim(self) -> int:
        """The number of axes, including that of the inputs."""
        return 1 + len(self._file.row_shape)

    @property
    def stored_type(self) -> "np.dtype[Any]":
        """The type of the values in the file: uint8, float16 or float32."""
        return self._file.dtype

    def __len__(self) -> int:
        """Return the number of inputs."""
        return len(self._chosen)

    def rows(self, rows: Rows) -> "StoredInputs":
        """Return a part of the inputs, which stays in the file.

        Args:
            rows: a slice, indices, or a mask with one value for each input.

        Raises:
            IndexError: an index is out of range, or the mask has another length.
        """
        part = StoredInputs.__new__(StoredInputs)
        part._file = self._file  # noqa: SLF001  it is one of our own
        part._chosen = self._at(rows)  # noqa: SLF001
        return part

    @staticmethod
    def joined(parts: Sequence["StoredInputs"]) -> "StoredInputs":
        """Return several parts of one file as one, in order, which stays in the file.

        Raises:
            StoredInputsError: the parts are in different files.
        """
        if len({id(part._file) for part in parts}) > 1:  # noqa: SLF001
            raise StoredInputsError(
                "inputs in different files cannot be joined; write all of them to one file"
            )
        whole = parts[0].rows(slice(0))
        whole._chosen = np.concatenate([np.asarray(part._chosen, np.int64) for part in parts])  # noqa: SLF001
        return whole

    def appended(self, inputs: NDArray[np.float32]) -> "StoredInputs":
        """Return these inputs and then others, (n, *shape), which stay in memory."""
        whole = self.rows(slice(None))
        whole._file = AppendedRows(self._file, inputs)  # noqa: SLF001  it is one of our own
        added = np.arange(self._file.count, whole._file.count)  # noqa: SLF001
        whole._chosen = np.concatenate([np.asarray(self._chosen, np.int64), added])  # noqa: SLF001
        return whole

    def __getitem__(self, rows: SupportsIndex | Rows) -> NDArray[np.float32]:
        """Return one input (*shape), or several inputs (N, *shape), in memory.

        Raises:
            IndexError: an index is out of range, or the mask has another length.
            StoredInputsError: the file cannot be read, or was cut short.
        """
        if isinstance(rows, SupportsIndex) and not isinstance(rows, np.ndarray):
            row: NDArray[np.float32] = self._file.read(np.array([self._chosen[rows]]))[0]
            return row
        return self._file.read(self._at(rows))

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield every input, (*shape), in order."""
        return (self[index] for index in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return all inputs in memory, so that numpy's functions accept them."""
        del copy  # it is always a copy
        return self[:].astype(dtype or np.float32, copy=False)

    def _at(self, rows: Any) -> range | NDArray[np.int64]:
        if isinstance(rows, slice):
            return self._chosen[rows]
        chosen = np.asarray(self._chosen, np.int64)
        indices = np.asarray(rows)
        if indices.dtype != bool:
            indices = indices.astype(np.int64)
        if indices.ndim != 1:
            raise IndexError(f"the indices must have one axis, not the shape {indices.shape}")
        found: NDArray[np.int64] = chosen[indices]
        return found

    def __repr__(self) -> str:
        """Return a description with the path, the shape and the type in the file."""
        return f"StoredInputs({str(self._file.path)!r}, {self.stored_type} {self.shape})"


class _File:
    """An open file of inputs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                dtype, shape, start = _header(file)
                descriptor = os.dup(file.fileno())
        except Exception as err:  # numpy's parser of headers may raise anything
            raise StoredInputsError(f"{path} is not a file of inputs: {err}") from err
        self.count = shape[0]
        self._rows = RowFile(
            descriptor, name=str(path), dtype=dtype, row_shape=shape[1:], start=start
        )
        size, wanted = os.fstat(descriptor).st_size, self._rows.size_of(self.count)
        if size != wanted:
            raise StoredInputsError(
                f"{path} is damaged: {size:,} bytes, but {self.count:,} inputs of "
                f"{list(shape[1:])} need {wanted:,}; write it again"
            )

    def __reduce__(self) -> tuple[type["_File"], tuple[Path]]:
        return _File, (self.path,)

    @property
    def dtype(self) -> "np.dtype[Any]":
        return self._rows.dtype

    @property
    def row_shape(self) -> tuple[int, ...]:
        return self._rows.row_shape

    def read(self, rows: range | NDArray[np.int64]) -> NDArray[np.float32]:
        try:
            return as_read(self._rows.read(rows))
        except EOFError as err:
            raise StoredInputsError(str(err)) from err
        except OSError as err:
            raise StoredInputsError(f"{self.path} cannot be read: {err.strerror}") from err


def as_read(raw: NDArray[Any]) -> NDArray[np.float32]:
    """Return stored values as float32; uint8 values are divided by 255."""
    if raw.dtype == np.uint8:
        pictures: NDArray[np.float32] = np.divide(raw, WHITE, dtype=np.float32)
        return pictures
    return raw.astype(np.float32, copy=False)


def _header(file: IO[bytes]) -> tuple["np.dtype[Any]", tuple[int, ...], int]:
    """Return the type, the shape and the offset of the rows.

    Raises:
        ValueError: the file is not a `.npy` file of rows of a stored type.
    """
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"version {version} of numpy's format is not read")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.name not in STORED_TYPES or not dtype.isnative:
        raise ValueError(f"it holds {dtype}, not {', '.join(STORED_TYPES)}")
    if fortran_order or len(shape) < 2 or 0 in shape[1:]:
        order = " in Fortran order" if fortran_order else ""
        raise ValueError(f"it holds an array {shape}{order}, not (N, *shape) in C order")
    return dtype, shape, file.tell()


def store_inputs(path: Path, batches: Iterable[NDArray[Any]]) -> StoredInputs:
    """Write inputs to a file, a batch at a time, and return them as they are in the file.

    The file appears at its path when all batches are written, and replaces an existing one. If
    the process is killed, the incomplete file is removed by the next call for the same folder.

    Args:
        path: the path of the file, by custom with the suffix `.npy`.
        batches: arrays (n, *shape) of one type (uint8, float16 or float32) and one shape of input.
            uint8 is for pictures with values from 0 to 255, which are read as 0 to 1.

    Raises:
        StoredInputsError: there are no inputs, their types or shapes differ, the type is not one
            that can be stored, or the disk is full or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_file(_PREFIX, path.parent) as (part, descriptor):
            with os.fdopen(os.dup(descriptor), "wb") as file:
                _write(path, file, batches)
            os.fsync(descriptor)
            part.replace(path)
        sync_folder(path.parent)
    except OSError as err:
        raise StoredInputsError(f"{path} cannot be written: {_reason(err, path)}") from err
    return StoredInputs(path)


def _write(path: Path, file: IO[bytes], batches: Iterable[NDArray[Any]]) -> None:
    count, first = 0, None
    for batch in batches:
        if first is None:
            first = batch[:0]
            _check_type(path, first)
            _write_header(file, first, 0)
        if batch.dtype != first.dtype or batch.shape[1:] != first.shape[1:]:
            raise StoredInputsError(
                f"{path}: after inputs of {first.dtype} {list(first.shape[1:])} came "
                f"{batch.dtype} {list(batch.shape[1:])}; give all inputs one type and shape"
            )
        file.write(np.ascontiguousarray(batch).data)
        count += len(batch)
    if first is None or not count:
        raise StoredInputsError(f"{path}: there are no inputs to write")
    file.seek(0)
    _write_header(file, first, count)  # as long as before: numpy leaves room for the count


def _check_type(path: Path, batch: NDArray[Any]) -> None:
    if batch.dtype.name not in STORED_TYPES or batch.ndim < 2 or 0 in batch.shape[1:]:
        raise StoredInputsError(
            f"{path}: inputs of {batch.dtype} {list(batch.shape[1:])} cannot be stored; give "
            f"arrays (N, *shape) of {', '.join(STORED_TYPES)}"
        )


def _write_header(file: IO[bytes], like: NDArray[Any], count: int) -> None:
    header = {
        "shape": (count, *like.shape[1:]),
        "fortran_order": False,
        "descr": np.lib.format.dtype_to_descr(like.dtype),
    }
    np.lib.format.write_array_header_1_0(file, header)


def _reason(err: OSError, path: Path) -> str:
    if err.errno not in {errno.ENOSPC, errno.EDQUOT}:
        return str(err.strerror or err)
    with suppress(OSError):
        free = os.statvfs(path.parent)
        return f"the disk is full ({free.f_bavail * free.f_frsize / 1e9:.1f} GB left); free some"
    return "the disk is full; free some"
