"""Draws the hard inputs, which devices sent to the cloud.

An input of shape (T,) or (C, T) is drawn as a waveform, and one of shape (C, H, W) as an image.
"""

import base64
import html
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.store.hard_inputs import HardInput

_WIDTH, _LANE = 320, 34
_LANE_COLOURS = ("var(--capacity-4)", "var(--multiplexer)", "var(--rival)")


def input_picture(hard: HardInput, signature: Signature) -> str:
    """Return an input as HTML, with a label that describes the input.

    The HTML is an SVG, an image, or a sentence that says that the values cannot be drawn.

    Args:
        hard: the input.
        signature: the input signature of the bundle, whose channel names and units label a
            waveform. They are ignored if their number is not the number of channels.
    """
    values = _values(hard)
    if values is None:
        return f"<p>values of shape {hard.shape} cannot be drawn</p>"
    if values.ndim == 3:
        return _image(values)
    channels = values if values.ndim == 2 else values.reshape(1, -1)
    return _waveform(channels, _labels(len(channels), signature))


def _values(hard: HardInput) -> NDArray[np.float32] | None:
    values = np.frombuffer(hard.values, "<f4")
    fits = 1 <= len(hard.shape) <= 3 and values.size == np.prod(hard.shape) and values.size > 0
    return values.reshape(hard.shape) if fits and np.isfinite(values).all() else None


def _labels(count: int, signature: Signature) -> list[str]:
    names = list(signature.channels)
    if len(names) != count:
        return [f"channel {index + 1}" for index in range(count)]
    units = list(signature.units) if len(signature.units) == count else [""] * count
    return [f"{name}, {unit}" if unit else name for name, unit in zip(names, units, strict=True)]


def _waveform(channels: NDArray[np.float32], labels: Sequence[str]) -> str:
    height = _LANE * len(channels)
    lanes = "".join(
        _lane(index, values, label)
        for index, (values, label) in enumerate(zip(channels, labels, strict=True))
    )
    label = html.escape(f"waveform of {', '.join(labels)}; {channels.shape[1]} samples")
    return (
        f'<svg class="waveform" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{label}">'
        f"{lanes}</svg>"
    )


def _lane(index: int, values: NDArray[np.float32], label: str) -> str:
    low, high = float(values.min()), float(values.max())
    top, inner = index * _LANE + 12, _LANE - 14
    x = np.linspace(0, _WIDTH, len(values)) if len(values) > 1 else np.zeros(1)
    y = top + inner * (1 - (values.astype(np.float64) - low) / ((high - low) or 1.0))
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    colour = _LANE_COLOURS[index // 3 % len(_LANE_COLOURS)]
    return (
        f'<text x="0" y="{top - 3}">{html.escape(label)}</text>'
        f'<text x="{_WIDTH}" y="{top - 3}" text-anchor="end">{low:.3g} … {high:.3g}</text>'
        f'<polyline points="{path}" style="stroke:{colour}"/>'
    )


def _image(values: NDArray[np.float32]) -> str:
    """Return an image as HTML.

    One channel is drawn in gray, and three are drawn as red, green and blue. If there is any other
    number of channels, their mean is drawn in gray. The values are scaled so that the smallest is
    black and the largest is white.
    """
    pixels = values if values.shape[0] in (1, 3) else values.mean(0, keepdims=True)
    low, high = float(pixels.min()), float(pixels.max())
    scaled = (255 * (pixels - low) / ((high - low) or 1.0)).astype(np.uint8)
    data = base64.b64encode(_png(scaled.transpose(1, 2, 0))).decode()
    shape = " x ".join(map(str, values.shape))
    return f'<img class="input-image" src="data:image/png;base64,{data}" alt="input, {shape}">'


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode pixels of shape (H, W, 1) or (H, W, 3) as PNG."""
    height, width, channels = pixels.shape
    head = struct.pack(">IIBBBBB", width, height, 8, 2 if channels == 3 else 0, 0, 0, 0)
    rows = b"".join(b"\0" + pixels[row].tobytes() for row in range(height))
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
