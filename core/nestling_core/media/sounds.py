"""Decodes WAV files to samples, and cuts sounds to a task's length."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestling_core.media.errors import MediaError

Samples = NDArray[np.float32]

SOUND_SUFFIX = ".wav"
"""The end of the names of sound files that devices read, in lower case."""

_CHUNK = struct.Struct("<4sI")
_FORMAT = struct.Struct("<HHIIHH")
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_MOST_CHANNELS, _HIGHEST_RATE_HZ = 64, 768_000
_KINDS = "PCM of 8, 16, 24 or 32 bits, or floats of 32 bits"


@dataclass(frozen=True, kw_only=True, eq=False)
class Sound:
    """The samples of a sound.

    Attributes:
        samples: the samples, float32 (channels, samples), from -1 to 1.
        rate_hz: the number of samples in a second.
    """

    samples: Samples
    rate_hz: int

    @property
    def mono(self) -> Samples:
        """The mean of the channels, float32 (samples,)."""
        if len(self.samples) == 1:
            only: Samples = self.samples[0]
            return only
        mean: Samples = self.samples.mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean


@dataclass(frozen=True, kw_only=True)
class _Format:
    is_float: bool
    channels: int
    rate_hz: int
    bits: int


def decode_wav(data: bytes) -> Sound:
    """Return the samples of a WAV file.

    Integers are divided by their largest magnitude, and floats beyond -1 to 1 are clipped.

    Args:
        data: the content of the file: PCM of 8, 16, 24 or 32 bits, or floats of 32 bits.

    Raises:
        MediaError: the file is damaged, incomplete, empty, or has samples of another kind.
    """
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise MediaError("is not a WAV file")
    found: _Format | None = None
    for name, content in _chunks(data):
        if name == b"fmt ":
            found = _format(content)
        elif name == b"data":
            if found is None:
                raise MediaError("is damaged: its samples come before their format")
            return _decoded(found, content)
    raise MediaError("is damaged: it has no samples")


def sound_input(sound: Sound, *, rate_hz: int, length: int) -> Samples:
    """Return a sound as an input of a task.

    Channels are averaged. Of a longer sound, the middle is kept. A shorter one gets as many zeros
    before it as behind it; if the number is odd, one more behind it.

    Args:
        sound: the sound.
        rate_hz: the rate of the task's inputs. A device does not convert rates.
        length: the number of samples of an input.

    Returns:
        The input, float32 (1, length).

    Raises:
        MediaError: the sound has another rate.
    """
    if sound.rate_hz != rate_hz:
        raise MediaError(
            f"has {sound.rate_hz} samples a second, and the task takes {rate_hz}; record at "
            f"{rate_hz} Hz, or convert it before"
        )
    samples = sound.mono
    surplus = len(samples) - length
    if surplus >= 0:
        return np.ascontiguousarray(samples[surplus // 2 : surplus // 2 + length][None])
    return np.pad(samples, (-surplus // 2, -surplus - -surplus // 2))[None]


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the name and the content of each chunk of a RIFF file."""
    place, view = 12, memoryview(data)
    while place + _CHUNK.size <= len(data):
        name, size = _CHUNK.unpack_from(data, place)
        place += _CHUNK.size
        if size > len(data) - place:
            raise MediaError(
                f"is incomplete: its header announces {size} bytes, and {len(data) - place} follow"
            )
        yield name, view[place : place + size]
        place += size + size % 2  # chunks begin at even places


def _format(content: memoryview) -> _Format:
    if len(content) < _FORMAT.size:
        raise MediaError("is damaged: its format is incomplete")
    kind, channels, rate_hz, _, block, bits = _FORMAT.unpack_from(content)
    if kind == _EXTENSIBLE and len(content) >= 26:
        (kind,) = struct.unpack_from("<H", content, 24)  # the first bytes of the subformat
    if (kind, bits) not in {(_PCM, 8), (_PCM, 16), (_PCM, 24), (_PCM, 32), (_FLOAT, 32)}:
        raise MediaError(f"has samples of format {kind} with {bits} bits; save it as {_KINDS}")
    if not 1 <= channels <= _MOST_CHANNELS or block != channels * bits // 8:
        raise MediaError(f"is damaged: {channels} channels of {bits} bits in {block} bytes")
    if not 1 <= rate_hz <= _HIGHEST_RATE_HZ:
        raise MediaError(f"is damaged: {rate_hz} samples a second")
    return _Format(is_float=kind == _FLOAT, channels=channels, rate_hz=rate_hz, bits=bits)


def _decoded(found: _Format, content: memoryview) -> Sound:
    if len(content) == 0 or len(content) % (found.channels * found.bits // 8):
        raise MediaError(f"is damaged: {len(content)} bytes are not whole samples")
    values = _values(found, content)
    if not np.isfinite(values).all():
        raise MediaError("has samples that are not finite")
    samples = np.clip(values, -1, 1).reshape(-1, found.channels).T
    return Sound(samples=np.ascontiguousarray(samples, np.float32), rate_hz=found.rate_hz)


def _values(found: _Format, content: memoryview) -> Samples | NDArray[np.float64]:
    if found.is_float:
        return np.frombuffer(content, "<f4")
    if found.bits == 8:  # the only unsigned kind
        return (np.frombuffer(content, np.uint8).astype(np.float32) - 128) / 128
    if found.bits == 24:
        wide = np.zeros((len(content) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
        return wide.view("<i4")[:, 0] / np.float64(2**31)
    steps = np.frombuffer(content, f"<i{found.bits // 8}")
    return steps / np.float64(2 ** (found.bits - 1))
