"""Finds out what is in one file of a folder with data."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nestling_cloud.datasets.columns import columns_of
from nestling_cloud.datasets.facts import Facts, Media
from nestling_cloud.datasets.recordings import RECORDING_SUFFIXES, read_recording
from nestling_cloud.datasets.sound_files import SOUND_SUFFIXES, decode_sound
from nestling_core.media.errors import DecoderMissingError, MediaError
from nestling_core.media.pictures import PICTURE_SUFFIXES, decode_picture, look_at_picture

SUFFIXES: dict[Media, tuple[str, ...]] = {
    "picture": PICTURE_SUFFIXES,
    "sound": SOUND_SUFFIXES,
    "array": RECORDING_SUFFIXES,
}
"""For each kind of media, the extensions of its files, in lower case."""

_HEAD_BYTES, _FLAT_BYTES = 700, 0.02  # of a file, and for each pixel of one color
_ONE_COLOR = 2  # levels of 255, by which a compressed picture of one color may vary
_SILENCE = 1e-4  # of full scale, -80 dB


def examine(path: Path, media: Media) -> Facts:
    """Read a file and return what was found in it.

    A file that cannot be used is not an error: the result says why.

    Args:
        path: the path of the file.
        media: what the file should hold.

    Raises:
        DecoderMissingError: the package that decodes such files is not installed.
    """
    try:
        data = path.read_bytes()
    except OSError as err:
        return Facts(sha256="", fault=f"cannot be read: {err.strerror}")
    digest = hashlib.sha256(data).hexdigest()
    try:
        return _EXAMINERS[media](path.name, data, digest)
    except DecoderMissingError:
        raise
    except MediaError as err:
        return Facts(sha256=digest, fault=str(err))


def _picture(_name: str, data: bytes, digest: str) -> Facts:
    found = look_at_picture(data)
    # Only a file that is small for its pixels can be of one color; decoding all would take long.
    may_be_flat = len(data) <= _HEAD_BYTES + found.height * found.width * _FLAT_BYTES
    return Facts(
        sha256=digest,
        shape=(found.height, found.width),
        mode=found.mode,
        is_flat=may_be_flat and _is_flat(data),
        is_rotated=found.is_rotated,
    )


def _is_flat(data: bytes) -> bool:
    spans = np.ptp(decode_picture(data), axis=(0, 1))
    return bool(spans.max() <= _ONE_COLOR)


def _sound(name: str, data: bytes, digest: str) -> Facts:
    sound = decode_sound(name, data)
    return Facts(
        sha256=digest,
        shape=sound.samples.shape,
        rate_hz=sound.rate_hz,
        is_flat=bool(np.ptp(sound.mono) < _SILENCE),
    )


def _recording(name: str, data: bytes, digest: str) -> Facts:
    recording = read_recording(name, data)
    columns = columns_of(recording)
    measured = [column for column in columns if column.is_number and not column.is_time]
    return Facts(
        sha256=digest,
        shape=(recording.rows, len(columns)),
        is_flat=all(column.is_constant for column in measured),
        columns=columns,
    )


_EXAMINERS: dict[Media, Callable[[str, bytes, str], Facts]] = {
    "picture": _picture,
    "sound": _sound,
    "array": _recording,
}
