"""Reads .npy files as windows of float32."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nestling_device.sources.source import SourceError, Windows, one_line

# float32 holds every whole number up to here.
_LARGEST_WHOLE = 1 << np.finfo(np.float32).nmant + 1
_FLOATS, _INTEGERS = "f", "iu"


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; never waits, as opening a named pipe would.

    Raises:
        OSError: it cannot be opened, or is a folder, pipe, socket or device.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("it is not a regular file")
    return os.fdopen(descriptor, "rb")


def read_array(path: Path) -> NDArray[Any]:
    """Read the array of a .npy file; nothing is ever unpickled.

    Raises:
        SourceError: it cannot be opened, or holds anything but one array.
    """
    try:
        with open_regular(path) as file:
            return array_of(file)
    except Exception as err:  # numpy lets through whatever its header's parsers raise
        raise SourceError(f"{one_line(str(path))} is not a readable .npy file: {err}") from err


def array_of(file: BinaryIO) -> NDArray[Any]:
    """Read the array of an open .npy file.

    Raises:
        Exception: whatever numpy raises where it is none; ValueError where more follows.
    """
    array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    if file.read(1):
        raise ValueError("more bytes follow after its array; save one array a file")
    return array


def to_windows(array: NDArray[Any], shape: Sequence[int]) -> Windows:
    """Convert an array to windows in C order and this machine's byte order.

    Floats of any width are rounded to the nearest float32; whole numbers are taken where float32
    holds each of them exactly.

    Args:
        array: (N, *shape), N at least 1, of any real numbers.
        shape: of one window.

    Returns:
        float32 (N, *shape), finite.

    Raises:
        ValueError: another shape or type, or a value that is not finite or not held exactly. The
            text continues a sentence that begins with the array's name.
    """
    wanted = tuple(shape)
    kind = array.dtype.kind
    if kind not in _FLOATS + _INTEGERS or array.shape[1:] != wanted or array.size == 0:
        sizes = ", ".join(map(str, wanted))
        raise ValueError(
            f"has {array.dtype} {array.shape}; float32 (N, {sizes}) with N at least 1 is needed, "
            "or other real numbers in its place"
        )
    # np.abs of the least int64 is no positive number: compare both ends.
    if kind in _INTEGERS and (array.max() > _LARGEST_WHOLE or array.min() < -_LARGEST_WHOLE):
        raise ValueError(
            f"has whole numbers beyond {_LARGEST_WHOLE}, which float32 does not hold exactly; "
            "save them as floats"
        )
    with np.errstate(over="ignore"):  # infinite then, and refused below
        windows = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(windows).all():
        raise ValueError("has values that are not finite in float32; leave those windows out")
    return windows
