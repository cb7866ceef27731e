"""Parses data from peers and files, and raises the same error for every fault in the data.

Parsers raise more errors than they document: RecursionError for 100,000 brackets, MemoryError for
an array of a terabyte, UnicodeDecodeError, OverflowError. Callers of this module need to catch only
`UnreadableError` for faulty data.
"""

import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nestling_core.parsing.text import decode_text

# More than any set of weights has; a small file may claim to unpack into far more.
MOST_UNPACKED_BYTES = 1 << 30


class UnreadableError(ValueError):
    """Raised when data cannot be parsed."""


def parse_json(data: bytes | str) -> Any:
    """Return the value that a strict JSON text represents.

    Strict JSON has no NaN, no infinity, and no number outside the range of a double.

    Args:
        data: the JSON text, or its UTF-8 bytes with or without a byte-order mark.

    Raises:
        UnreadableError: the data is not strict JSON, or is nested too deeply.
    """
    try:
        text = decode_text(data) if isinstance(data, bytes) else data
        return json.loads(text, parse_constant=_refuse, parse_float=_finite, parse_int=_integer)
    except (ValueError, RecursionError, MemoryError) as err:  # UnicodeDecodeError is a ValueError
        raise UnreadableError(f"not readable as JSON: {_short(err)}") from err


def load_arrays(
    source: bytes | Path, *, most_bytes: int = MOST_UNPACKED_BYTES
) -> dict[str, NDArray[Any]]:
    """Return the arrays of a .npz file, keyed by name.

    Nothing in the file is ever unpickled.

    Args:
        source: the path of the file, or the content of the file.
        most_bytes: the largest accepted total size of the unpacked arrays, in bytes.

    Raises:
        UnreadableError: the file is damaged, too large, or not a .npz file.
        OSError: the file cannot be opened.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                size = sum(entry.file_size for entry in archive.infolist())
            if size > most_bytes:
                raise ValueError(  # noqa: TRY301
                    f"{size} bytes of arrays, more than the limit of {most_bytes}"
                )
            with np.load(file, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except Exception as err:  # numpy passes on whatever its header parsers raise
            raise UnreadableError(f"not readable as arrays: {_short(err)}") from err


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _integer(text: str) -> int:
    _finite(text)  # otherwise a caller's float() raises OverflowError
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def _short(err: BaseException) -> str:
    """Return an error's type and the start of its text, which may quote the data at length."""
    return f"{type(err).__name__}: {str(err)[:200]}"
