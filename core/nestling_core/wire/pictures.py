"""Encodes inputs as JPEG or WebP pictures.

Pillow is imported only when a picture is encoded or decoded, because devices may lack it.
"""

import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestling_core.wire.errors import WireError

Floats = NDArray[np.float32]

_HEAD_BYTES = 8
_MODES = {1: "L", 3: "RGB"}
# Each scan of a progressive JPEG passes over all pixels; encoders make about ten.
_SCAN, _MOST_SCANS = b"\xff\xda", 50


@functools.cache
def has_pillow() -> bool:
    """Return whether Pillow is installed with support for JPEG and WebP, and can be used."""
    try:
        from PIL import features  # noqa: PLC0415  an extra on devices
    except Exception:  # noqa: BLE001  a broken installation may raise anything
        return False
    return all(features.check(name) for name in ("jpg", "webp"))


def is_picture(shape: Sequence[int]) -> bool:
    """Return whether inputs of a shape are gray or color pictures, (1 or 3, height, width)."""
    return len(shape) == 3 and shape[0] in _MODES


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """A picture format of Pillow.

    A payload begins with the value of black and the step, both as little-endian float32. The step
    is the difference between the values that two neighboring levels of a color stand for. The
    picture follows.

    Attributes:
        kind: the format's name in Pillow, "JPEG" or "WEBP".
    """

    kind: str

    def encode(
        self, window: Floats, scales: Sequence[float], offsets: Sequence[float], quality: int
    ) -> bytes:
        """Return the payload for an input.

        Args:
            window: the input, (1 or 3, height, width), finite.
            scales: the calibrated step between two neighboring levels, as the only value.
            offsets: the calibrated value of black, as the only value.
            quality: the quality, from 1 to 100.

        Raises:
            WireError: Pillow cannot write the input, for example because it is too wide or too
                high for the format.
        """
        from PIL import Image  # noqa: PLC0415  an extra on devices

        black = np.minimum(np.float32(offsets[0]), window.min()).astype(np.float32)
        above = window.astype(np.float64) - float(black)
        scale = np.float32(max(scales[0], float(above.max()) / 255))
        levels = np.clip(np.rint(above / float(scale)), 0, 255).astype(np.uint8)
        pixels = levels[0] if len(levels) == 1 else levels.transpose(1, 2, 0)
        stream = io.BytesIO()
        try:
            picture = Image.fromarray(np.ascontiguousarray(pixels))
            picture.save(stream, self.kind, quality=quality)
        except Exception as err:  # Pillow's errors share no base
            raise WireError(f"Pillow cannot write this input as {self.kind}: {err}") from err
        return np.array([black, scale], "<f4").tobytes() + stream.getvalue()

    def decode(self, payload: bytes, shape: Sequence[int]) -> Floats:
        """Return the input of a payload, (1 or 3, height, width), whose values may be infinite.

        Args:
            payload: the bytes from a peer.
            shape: the shape of the input.

        Raises:
            WireError: the payload is damaged, of another format, or belongs to another shape.
        """
        from PIL import Image  # noqa: PLC0415  an extra on devices

        head = np.frombuffer(payload[:_HEAD_BYTES].ljust(_HEAD_BYTES, b"\xff"), "<f4")
        if not (np.isfinite(head).all() and head[1] > 0):
            raise WireError("the levels of the payload are not finite numbers")
        black, scale = head.tolist()
        if self.kind == "JPEG" and payload.count(_SCAN) > _MOST_SCANS:
            raise WireError(f"the picture has more than {_MOST_SCANS} scans")
        channels, height, width = shape
        try:
            with Image.open(io.BytesIO(payload[_HEAD_BYTES:]), formats=[self.kind]) as picture:
                self._check(picture.size, picture.mode, shape)  # before pixels are unpacked
                levels = np.asarray(picture.convert(_MODES[channels]), np.float64)
        except WireError:
            raise
        except Exception as err:  # Pillow's errors share no base
            raise WireError(f"the payload is not a {self.kind} picture") from err
        rows = levels.reshape(height, width, channels).transpose(2, 0, 1)
        with np.errstate(over="ignore"):  # infinite values are refused by the caller
            decoded: Floats = (black + scale * rows).astype(np.float32)
        return decoded

    def _check(self, size: tuple[int, int], mode: str, shape: Sequence[int]) -> None:
        """Raise WireError unless a picture has the size and the colors of an input's shape."""
        channels, height, width = shape
        # WebP has no gray pictures.
        modes = {_MODES[channels], "RGB"} if self.kind == "WEBP" else {_MODES[channels]}
        if size != (width, height) or mode not in modes:
            raise WireError(f"the picture is {size} {mode}, not {(width, height)} {max(modes)}")
