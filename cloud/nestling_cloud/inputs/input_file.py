"""Writes one input as a file, and reads it.

A picture of 8-bit levels is a PNG file, anything else a .npy file. Neither loses anything.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

PNG, NPY = ".png", ".npy"
MEDIA_TYPES = {PNG: "image/png", NPY: "application/octet-stream"}
_WHITE = 255
# Most difference, in levels, to the nearest level: values went through float32 and wire forms.
_LEVEL_SLACK = 1e-3


class InputFileError(ValueError):
    """Raised when the bytes or the file of an input cannot be read, or do not fit the task."""


def input_values(values: bytes, shape: Sequence[int]) -> NDArray[np.float32]:
    """Return the values of a stored input, of the given shape.

    Raises:
        InputFileError: there are too many or too few of them.
    """
    found = np.frombuffer(values[: len(values) - len(values) % 4], "<f4")
    if len(values) % 4 or found.size != np.prod(shape):
        raise InputFileError(f"{len(values)} bytes are no input of the shape {list(shape)}")
    return found.reshape(tuple(shape)).astype(np.float32)


def encode_input(values: NDArray[np.float32]) -> tuple[str, bytes]:
    """Return the suffix and the content of an input's file.

    Args:
        values: the input. One of the shape (1, H, W) or (3, H, W) whose values are n / 255 for n
            from 0 to 255 becomes a PNG.
    """
    levels = _levels(values)
    file = io.BytesIO()
    if levels is None:
        np.save(file, values, allow_pickle=False)
        return NPY, file.getvalue()
    pixels = levels[0] if len(levels) == 1 else levels.transpose(1, 2, 0)
    Image.fromarray(pixels).save(file, "PNG")
    return PNG, file.getvalue()


def decode_input(path: Path, shape: Sequence[int]) -> NDArray[np.float32]:
    """Return the input in a file.

    Args:
        path: the file, .png or .npy.
        shape: the shape that the input must have.

    Raises:
        InputFileError: the file is missing, damaged or of another kind, or its input has another
            shape or values that are not finite.
    """
    try:
        values = _picture(path, shape) if path.suffix == PNG else _array(path, shape)
    except InputFileError:
        raise
    # What Pillow and numpy raise for damaged files.
    except (OSError, ValueError, EOFError, SyntaxError, Image.DecompressionBombError) as err:
        raise InputFileError(f"cannot be read: {getattr(err, 'strerror', None) or err}") from err
    if not np.isfinite(values).all():
        raise InputFileError("has values that are not finite")
    return values


def _levels(values: NDArray[np.float32]) -> NDArray[np.uint8] | None:
    if values.ndim != 3 or values.shape[0] not in {1, 3} or values.size == 0:
        return None
    scaled = values.astype(np.float64) * _WHITE
    levels = np.rint(scaled)
    is_picture = np.isfinite(scaled).all() and (abs(scaled - levels) <= _LEVEL_SLACK).all()
    if not is_picture or levels.min() < 0 or levels.max() > _WHITE:
        return None
    return levels.astype(np.uint8)


def _picture(path: Path, shape: Sequence[int]) -> NDArray[np.float32]:
    try:
        image = Image.open(path, formats=["PNG"])
    except UnidentifiedImageError as err:
        raise InputFileError("is not a PNG picture") from err
    with image:
        channels = {"L": 1, "RGB": 3}.get(image.mode)
        if channels is None:
            raise InputFileError(f"has pixels of the kind {image.mode}, not 8-bit gray or RGB")
        _check_shape((channels, image.height, image.width), shape)  # before anything is decoded
        pixels = np.asarray(image, np.uint8).reshape(image.height, image.width, channels)
    return (pixels.transpose(2, 0, 1) / _WHITE).astype(np.float32)


def _array(path: Path, shape: Sequence[int]) -> NDArray[np.float32]:
    if path.suffix != NPY:
        raise InputFileError("is neither a .png nor a .npy file")
    # Mapped, so that a header that promises terabytes allocates nothing.
    values = np.lib.format.open_memmap(path, mode="r")
    if values.dtype != np.float32:
        raise InputFileError("is not an array of float32")
    _check_shape(values.shape, shape)
    return np.array(values)


def _check_shape(found: Sequence[int], wanted: Sequence[int]) -> None:
    if tuple(found) != tuple(wanted):
        raise InputFileError(f"has the shape {list(found)}, and the task {list(wanted)}")
