"""Decodes JPEG and PNG files to pixels.

Pillow is imported only when a picture is decoded, because devices may lack it.
"""

import importlib.util
import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nestling_core.media.errors import DecoderMissingError, MediaError

if TYPE_CHECKING:
    from PIL import Image

Pixels = NDArray[np.uint8]

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")
"""The extensions of picture files, in lower case."""

LARGEST_PIXELS = 50_000_000
"""The most pixels of a picture that is decoded. They take 150 MB."""

_FORMATS = ("JPEG", "PNG")
# Each scan of a progressive JPEG passes over all pixels; encoders make about ten.
_SCAN, _MOST_SCANS = b"\xff\xda", 100
_ORIENTATION = 0x0112  # the EXIF tag


@dataclass(frozen=True, kw_only=True)
class PictureFacts:
    """What the header of a picture file says.

    Attributes:
        height: the height in pixels, after the rotation that the file asks for.
        width: the width in pixels, after that rotation.
        mode: the kind of the pixels in Pillow's terms, such as "RGB", "L", "CMYK", "P" or "I;16".
        is_rotated: whether the file asks to be rotated or mirrored (EXIF orientation).
    """

    height: int
    width: int
    mode: str
    is_rotated: bool


def has_pillow() -> bool:
    """Return whether Pillow, which decodes pictures, is installed."""
    return importlib.util.find_spec("PIL") is not None


def look_at_picture(data: bytes) -> PictureFacts:
    """Return what the header of a picture file says, without decoding its pixels.

    Args:
        data: the content of the file.

    Raises:
        MediaError: the file is not a JPEG or PNG file, or has too many pixels.
        DecoderMissingError: Pillow is not installed.
    """
    with _opened(data) as picture:
        orientation = _orientation(picture)
        width, height = picture.size
        if orientation >= 5:  # the orientations that exchange the axes
            width, height = height, width
        return PictureFacts(
            height=height, width=width, mode=picture.mode, is_rotated=orientation != 1
        )


def decode_picture(data: bytes) -> Pixels:
    """Return the pixels of a JPEG or PNG file.

    The picture is rotated as its EXIF orientation asks. Grays, palettes and CMYK become red, green
    and blue. 16-bit grays are rounded to 8 bits. Transparent pixels are laid over white. Color
    profiles are ignored, and of an animation, the first picture counts.

    Args:
        data: the content of the file.

    Returns:
        The pixels, uint8 (height, width, 3).

    Raises:
        MediaError: the file is damaged, incomplete, not a JPEG or PNG file, or has too many pixels.
        DecoderMissingError: Pillow is not installed.
    """
    with _opened(data) as picture:
        try:
            orientation = _orientation(picture)
            pixels = np.asarray(_in_colors(picture))
        except Exception as err:  # Pillow's errors share no base
            raise MediaError(f"is damaged: {_reason(err)}") from err
    return np.ascontiguousarray(_rotated(pixels, orientation))


def _opened(data: bytes) -> "Image.Image":
    try:
        from PIL import Image  # noqa: PLC0415  an extra on devices
    except ImportError as err:
        raise DecoderMissingError(
            "needs Pillow, which is not installed: pip install 'nestling[pictures]'"
        ) from err
    if data.startswith(b"\xff\xd8") and data.count(_SCAN) > _MOST_SCANS:
        raise MediaError(f"has more than {_MOST_SCANS} scans")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about sizes, which are checked below
            picture = Image.open(io.BytesIO(data), formats=_FORMATS)
    except Image.DecompressionBombError as err:
        raise MediaError(f"has more than {LARGEST_PIXELS} pixels; make it smaller") from err
    except Exception as err:  # Pillow's errors share no base
        raise MediaError("is not a readable JPEG or PNG file") from err
    if picture.width * picture.height > LARGEST_PIXELS:
        picture.close()
        raise MediaError(
            f"has {picture.width} x {picture.height} pixels, more than {LARGEST_PIXELS}; make it "
            "smaller"
        )
    return picture


def _in_colors(picture: "Image.Image") -> "Image.Image":
    from PIL import Image  # noqa: PLC0415  an extra on devices

    if picture.mode.startswith("I"):  # 16 bits, which Pillow would clip instead of scaling
        deep = np.asarray(picture).astype(np.int64)
        grays = (np.clip(deep, 0, 65535) * 255 + 32767) // 65535
        return Image.fromarray(grays.astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        layers = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layers).convert("RGB")
    return picture.convert("RGB")


def _orientation(picture: "Image.Image") -> int:
    """Return the EXIF orientation, 1 to 8; 1 means upright."""
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001  damaged EXIF data does not make a picture unusable
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _rotated(pixels: Pixels, orientation: int) -> Pixels:
    """Return upright pixels."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    return pixels


def _reason(err: Exception) -> str:
    return (str(err).strip().splitlines() or [type(err).__name__])[0][:200]
