"""Reads .npy files as float32 windows, each of which is one input."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nestling_device.sources.source import SourceError, Windows, one_line

ARRAY_SUFFIX = ".npy"
"""The end of the names of files with arrays."""

# float32 represents every whole number up to this one exactly.
_LARGEST_WHOLE = 1 << np.finfo(np.float32).nmant + 1
_FLOATS, _INTEGERS = "f", "iu"


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading.

    Anything else is refused. The call never blocks, not even on a named pipe.

    Raises:
        OSError: the file cannot be opened, or it is a folder, pipe, socket or device.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("it is not a regular file")
    return os.fdopen(descriptor, "rb")


def read_array(path: Path) -> NDArray[Any]:
    """Return the array in a .npy file.

    An array of pickled objects is refused.

    Raises:
        SourceError: the file cannot be opened, or it does not contain exactly one array.
    """
    try:
        with open_regular(path) as file:
            return array_of(file)
    except Exception as err:  # numpy's header parsers may raise anything
        raise SourceError(f"{one_line(str(path))} is not a readable .npy file: {err}") from err


def array_of(file: BinaryIO) -> NDArray[Any]:
    """Return the array in an open .npy file.

    Raises:
        Exception: the file is not an array; numpy raises errors of many types.
        ValueError: the file has more bytes after the array.
    """
    array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    if file.read(1):
        raise ValueError("more bytes follow after its array; save one array per file")
    return array


def to_windows(array: NDArray[Any], shape: Sequence[int]) -> Windows:
    """Convert an array to float32 windows in C order and this machine's byte order.

    Floats of any width are rounded to the nearest float32. Integers are accepted from -2^24 to
    2^24, a range in which float32 represents every integer exactly.

    Args:
        array: the array (N, *shape), with N at least 1, of any floating-point or integer type.
        shape: the shape of one window.

    Returns:
        Finite windows, float32 (N, *shape).

    Raises:
        ValueError: the array has another shape or type, a value that is not finite in float32, or
            an integer outside that range. The error's text continues a sentence that begins with
            the array's name.
    """
    wanted = tuple(shape)
    kind = array.dtype.kind
    if kind not in _FLOATS + _INTEGERS or array.shape[1:] != wanted or array.size == 0:
        sizes = ", ".join(map(str, wanted))
        raise ValueError(
            f"has {array.dtype} {array.shape}; float32 (N, {sizes}) with N at least 1 is needed, "
            "or another real type in this shape"
        )
    # np.abs of the smallest int64 is still negative, so both ends are compared.
    if kind in _INTEGERS and (array.max() > _LARGEST_WHOLE or array.min() < -_LARGEST_WHOLE):
        raise ValueError(
            f"has whole numbers beyond {_LARGEST_WHOLE}, which float32 does not hold exactly; "
            "save them as floats"
        )
    with np.errstate(over="ignore"):  # overflow gives infinity, which is refused below
        windows = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(windows).all():
        raise ValueError("has values that are not finite in float32; leave those windows out")
    return windows
