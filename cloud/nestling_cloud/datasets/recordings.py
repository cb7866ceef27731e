"""Reads recordings of sensors from CSV, Parquet and .npy files."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nestling_core.media.errors import DecoderMissingError, MediaError
from nestling_core.parsing.text import EncodingError, decode_text

RECORDING_SUFFIXES = (".csv", ".parquet", ".npy")
"""The extensions of files with recordings, in lower case."""

LARGEST_BYTES = 1 << 30
"""The largest file that is read, in bytes."""

_DELIMITERS = ";\t,"
_MOST_COLUMNS = 4096


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """A table with one row per sample.

    Attributes:
        columns: for each column by name, its values: float64 where all of them are numbers (missing
            ones are NaN), otherwise texts.
        rows: the number of rows.
    """

    columns: Mapping[str, NDArray[Any]]
    rows: int


def read_recording(name: str, data: bytes) -> Recording:
    """Return the recording in a file.

    A CSV file may be separated by semicolons, tabs or commas; where it is separated by semicolons,
    a comma may be the decimal mark. Without a header, columns are named "channel 1" and so on, as
    are those of a .npy file (samples, channels) or (channels, samples), whose longer axis is time.

    Args:
        name: the name of the file, whose end says how it is read.
        data: the content of the file.

    Raises:
        MediaError: the file is damaged, empty or not a table.
        DecoderMissingError: pyarrow, which Parquet files need, is not installed.
    """
    if len(data) > LARGEST_BYTES:
        raise MediaError(f"has {len(data)} bytes, more than {LARGEST_BYTES}; split it")
    end = name.lower().rpartition(".")[2]
    reader = {"csv": _read_csv, "parquet": _read_parquet, "npy": _read_npy}[end]
    recording = reader(data)
    if not recording.rows or not recording.columns:
        raise MediaError("has no rows")
    return recording


def _read_csv(data: bytes) -> Recording:
    try:
        text = decode_text(data)
    except EncodingError as err:
        raise MediaError(f"is not a text file: {err}") from err
    first = text.lstrip().partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(row)]
    except csv.Error as err:
        raise MediaError(f"is not a CSV file: {err}") from err
    if not rows:
        raise MediaError("is empty")
    width = len(rows[0])
    if width > _MOST_COLUMNS:
        raise MediaError(f"has {width} columns, more than {_MOST_COLUMNS}")
    uneven = next((number for number, row in enumerate(rows, 1) if len(row) != width), None)
    if uneven is not None:
        raise MediaError(
            f"has {width} columns in its first row and {len(rows[uneven - 1])} in row {uneven}; "
            "it may be cut off"
        )
    has_header = all(np.isnan(_number(field, delimiter)) for field in rows[0])
    names = [field.strip() for field in rows[0]] if has_header else _numbered(width)
    return _table(names, list(zip(*rows[has_header:], strict=True)), delimiter)


def _table(names: Sequence[str], columns: Sequence[Sequence[str]], delimiter: str) -> Recording:
    if len(set(names)) < len(names) or not all(names):
        raise MediaError("has columns without a name, or two of the same name")
    values = {
        name: _values(column, delimiter) for name, column in zip(names, columns, strict=False)
    }
    return Recording(columns=values, rows=len(columns[0]) if columns else 0)


def _values(column: Sequence[str], delimiter: str) -> NDArray[Any]:
    if delimiter == ";":
        column = [field.replace(",", ".") if field.count(",") == 1 else field for field in column]
    try:
        return np.array([field.strip() or "nan" for field in column], np.float64)
    except ValueError:
        return np.array([field.strip() for field in column], str)


def _number(field: str, delimiter: str) -> float:
    try:
        return float(field.replace(",", ".") if delimiter == ";" else field)
    except ValueError:
        return float("nan")


def _numbered(width: int) -> list[str]:
    return [f"channel {number}" for number in range(1, width + 1)]


def _read_parquet(data: bytes) -> Recording:
    try:
        import pyarrow as pa  # noqa: PLC0415  an extra
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as err:
        raise DecoderMissingError(
            "needs pyarrow, which is not installed: pip install 'nestling[parquet]'"
        ) from err
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        unpacked = sum(
            file.metadata.row_group(index).total_byte_size
            for index in range(file.metadata.num_row_groups)
        )
        table = file.read() if unpacked <= LARGEST_BYTES else None
    except Exception as err:  # pyarrow's errors share no base of their own
        reason = (str(err).splitlines() or [type(err).__name__])[0]
        raise MediaError(f"is not a readable Parquet file: {reason}") from err
    if table is None:
        raise MediaError(f"holds {unpacked} bytes, more than {LARGEST_BYTES}; split it")
    if table.num_columns > _MOST_COLUMNS or table.nbytes > LARGEST_BYTES:
        raise MediaError(f"has {table.num_columns} columns and {table.nbytes} bytes; split it")
    columns = {name: _arrow(table.column(name)) for name in table.column_names}
    return Recording(columns=columns, rows=table.num_rows)


def _arrow(column: Any) -> NDArray[Any]:
    import pyarrow.types as kinds  # noqa: PLC0415  an extra

    if kinds.is_timestamp(column.type) or kinds.is_date(column.type):
        texts: NDArray[Any] = np.array([str(value) for value in column.to_pylist()], str)
        return texts
    values = column.to_pylist()
    try:
        return np.array([np.nan if value is None else value for value in values], np.float64)
    except (TypeError, ValueError):
        return np.array([str(value) for value in values], str)


def _read_npy(data: bytes) -> Recording:
    try:
        array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except Exception as err:  # numpy's header parsers may raise anything
        raise MediaError(f"is not a readable .npy file: {err}") from err
    if array.ndim != 2 or array.dtype.kind not in "fiub" or min(array.shape) > _MOST_COLUMNS:
        raise MediaError(
            f"holds {array.dtype} {array.shape}; an array of numbers (samples, channels) with at "
            f"most {_MOST_COLUMNS} channels is needed"
        )
    if array.shape[0] < array.shape[1]:
        array = array.T  # the longer axis is time
    names = _numbered(array.shape[1])
    columns = {name: array[:, index].astype(np.float64) for index, name in enumerate(names)}
    return Recording(columns=columns, rows=len(array))
