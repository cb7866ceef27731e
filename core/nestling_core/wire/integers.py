"""Encodes inputs as integers with a scale per channel, and deflates their differences.

Neighboring samples are similar, so their differences are small, and small numbers deflate well. A
payload carries its own scales. If values of an input lie beyond the calibrated range, the scale of
their channel is enlarged for this input, so that no value is clipped.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestling_core.wire.errors import WireError

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

# Level 9 saves no more than 1% of the bytes of these small inputs.
_LEVEL = 6
_RAW_DEFLATE = -zlib.MAX_WBITS


@dataclass(frozen=True, kw_only=True)
class Integers:
    """A wire form that encodes inputs as integers.

    Attributes:
        bits: the number of bits of an integer, at most 16.
        has_offset: whether every channel has an offset, which is the value of integer 0. Integers
            are then counted upward from 0. Otherwise they are signed.
    """

    bits: int
    has_offset: bool = False

    @property
    def steps(self) -> int:
        """The largest integer."""
        return (1 << self.bits) - 1 if self.has_offset else (1 << self.bits - 1) - 1

    def encode(self, window: Floats, scales: Sequence[float], offsets: Sequence[float]) -> bytes:
        """Return the payload for an input.

        Decoded values differ from the input by at most half a step, plus float32's rounding. The
        step of a channel is larger than the calibrated one if the input exceeds the range.

        Args:
            window: the input, (C, ...), finite.
            scales: the calibrated step of each channel, which is the difference between the values
                that two neighboring integers stand for.
            offsets: the calibrated value of integer 0 for each channel, if there are offsets.
        """
        rows = window.reshape(len(window), -1).astype(np.float64)
        base = np.array(offsets, "<f4") if self.has_offset else np.zeros(len(rows), "<f4")
        if self.has_offset:
            base = np.minimum(base, rows.min(axis=1).astype("<f4"))
        above = rows - base[:, None].astype(np.float64)
        needed = np.abs(above).max(axis=1) / self.steps
        scale = np.maximum(np.array(scales, np.float64), needed).astype("<f4")
        steps = np.rint(above / scale[:, None].astype(np.float64))
        lowest = 0 if self.has_offset else -self.steps
        whole = np.clip(steps, lowest, self.steps).astype(np.int64).reshape(window.shape)
        changes = np.diff(whole, prepend=0, axis=-1) % (1 << self.bits)
        head: bytes = scale.tobytes() + (base.tobytes() if self.has_offset else b"")
        return head + _deflated(self._bytes_of(changes))

    def decode(self, payload: bytes, shape: Sequence[int]) -> Floats:
        """Return the input of a payload, (C, ...), whose values may be infinite.

        Args:
            payload: the bytes from a peer.
            shape: the shape of the input.

        Raises:
            WireError: the payload is damaged, or belongs to another shape.
        """
        channels = shape[0]
        head = channels * (8 if self.has_offset else 4)
        numbers = np.frombuffer(payload[:head].ljust(head, b"\xff"), "<f4")
        if not (np.isfinite(numbers).all() and (numbers[:channels] > 0).all()):
            raise WireError("the scales of the payload are not finite numbers above 0")
        scale, base = np.split(numbers.astype(np.float64), [channels])
        count = int(np.prod(shape, dtype=np.int64))
        changes = self._changes(_inflated(payload[head:], count * self._width))
        whole = np.cumsum(changes.reshape(shape), axis=-1) % (1 << self.bits)
        if not self.has_offset:
            whole = np.where(whole > self.steps, whole - (1 << self.bits), whole)
        values = whole.reshape(channels, -1) * scale[:, None]
        if self.has_offset:
            values += base[:, None]
        with np.errstate(over="ignore"):  # infinite values are refused by the caller
            decoded: Floats = values.astype(np.float32).reshape(shape)
        return decoded

    @property
    def _width(self) -> int:
        return 2 if self.bits > 8 else 1

    def _bytes_of(self, changes: NDArray[np.int64]) -> bytes:
        # All high bytes before all low ones: high bytes are alike and deflate well.
        flat = changes.ravel()
        high = (flat >> 8).astype(np.uint8).tobytes() if self._width > 1 else b""
        return high + (flat & 0xFF).astype(np.uint8).tobytes()

    def _changes(self, data: bytes) -> NDArray[np.int64]:
        planes = np.frombuffer(data, np.uint8).astype(np.int64).reshape(self._width, -1)
        changes: NDArray[np.int64] = planes[-1]
        return planes[0] * 256 + changes if self._width > 1 else changes


def _deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW_DEFLATE)
    return compressor.compress(data) + compressor.flush()


def _inflated(data: bytes, size: int) -> bytes:
    """Return exactly `size` bytes, and never unpack more than one byte beyond them."""
    stream = zlib.decompressobj(_RAW_DEFLATE)
    try:
        found = stream.decompress(data, size + 1)
    except zlib.error as err:
        raise WireError("the payload cannot be unpacked") from err
    if len(found) != size or not stream.eof or stream.unused_data:
        raise WireError(f"the payload does not unpack to {size} bytes")
    return found
