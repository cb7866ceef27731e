"""Reads what somebody else wrote, a peer or a file, into Python; whatever is wrong is one error.

Parsers raise more than they say: RecursionError at 100,000 brackets, MemoryError at an array of a
terabyte, UnicodeDecodeError, OverflowError. Who reads a stranger's bytes has one thing to catch.
"""

import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nestling.text import decode_text

# Beyond any set of weights here; a small file may claim to unpack into far more.
MOST_UNPACKED_BYTES = 1 << 30


class UnreadableError(ValueError):
    """Bytes that are not what they should be."""


def parse_json(data: bytes | str) -> Any:
    """Read JSON, strictly: no NaN or infinity, and numbers that a double can hold.

    Raises:
        UnreadableError: it is none, or nested too deep.
    """
    try:
        text = decode_text(data) if isinstance(data, bytes) else data
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError, MemoryError) as err:  # the first has UnicodeDecodeError
        raise UnreadableError(f"not readable as JSON: {_short(err)}") from err


def load_arrays(
    source: bytes | Path, *, most_bytes: int = MOST_UNPACKED_BYTES
) -> dict[str, NDArray[Any]]:
    """Read a .npz file; nothing is ever unpickled.

    Args:
        source: the file, or its content.
        most_bytes: that the arrays may take, unpacked.

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


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def _short(err: BaseException) -> str:
    """What an error says, without the stranger's text that it may repeat at length."""
    return f"{type(err).__name__}: {str(err)[:200]}"
