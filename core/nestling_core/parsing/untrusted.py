"""Parses data from peers and files; whatever is wrong with it raises one error.

Parsers raise more than they document: RecursionError at 100,000 brackets, MemoryError at an array
of a terabyte, UnicodeDecodeError, OverflowError. Here a caller has one error to catch.
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

# Beyond any set of weights here; a small file may claim to unpack into far more.
MOST_UNPACKED_BYTES = 1 << 30


class UnreadableError(ValueError):
    """Bytes that are not what they should be."""


def parse_json(data: bytes | str) -> Any:
    """Parse JSON strictly: no NaN, no infinity, no number beyond a double.

    Raises:
        UnreadableError: it is not such JSON, or nested too deep.
    """
    try:
        text = decode_text(data) if isinstance(data, bytes) else data
        return json.loads(text, parse_constant=_refuse, parse_float=_finite, parse_int=_integer)
    except (ValueError, RecursionError, MemoryError) as err:  # the first has UnicodeDecodeError
        raise UnreadableError(f"not readable as JSON: {_short(err)}") from err


def load_arrays(
    source: bytes | Path, *, most_bytes: int = MOST_UNPACKED_BYTES
) -> dict[str, NDArray[Any]]:
    """Read a .npz file; nothing is ever unpickled.

    Args:
        source: the file, or its content.
        most_bytes: largest size of the unpacked arrays together.

    Raises:
        UnreadableError: damaged, too large, or something else.
        OSError: the file cannot be opened.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                size = sum(entry.file_size for entry in archive.infolist())
            if size > most_bytes:
                raise ValueError(f"{size} bytes of arrays, {most_bytes} at most")  # noqa: TRY301
            with np.load(file, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except Exception as err:  # numpy lets through whatever its header's parsers raise
            raise UnreadableError(f"no arrays in it: {_short(err)}") from err


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _integer(text: str) -> int:
    _finite(text)  # or a caller's float() raises OverflowError
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def _short(err: BaseException) -> str:
    """Shorten an error's text, which may repeat the data at length."""
    return f"{type(err).__name__}: {str(err)[:200]}"
