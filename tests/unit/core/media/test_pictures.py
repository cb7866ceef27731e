import io
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nestling_core.media import pictures
from nestling_core.media.errors import MediaError
from nestling_core.media.pictures import decode_picture, look_at_picture

RED, WHITE = [255, 0, 0], [255, 255, 255]


def saved(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def corner(orientation: int) -> bytes:
    """A picture of two rows and three columns with one red corner, to be rotated by EXIF."""
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[0, 0] = RED
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(Image.fromarray(pixels), exif=exif)


def test_png_is_decoded_exactly() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)

    np.testing.assert_array_equal(decode_picture(saved(Image.fromarray(pixels))), pixels)


@pytest.mark.parametrize(
    ("orientation", "place", "shape"),
    [
        (1, (0, 0), (2, 3)),
        (2, (0, 2), (2, 3)),
        (3, (1, 2), (2, 3)),
        (4, (1, 0), (2, 3)),
        (5, (0, 0), (3, 2)),
        (6, (0, 1), (3, 2)),
        (7, (2, 1), (3, 2)),
        (8, (2, 0), (3, 2)),
    ],
)
def test_picture_is_turned_upright(
    orientation: int, place: tuple[int, int], shape: tuple[int, int]
) -> None:
    found = decode_picture(corner(orientation))

    assert found.shape == (*shape, 3)
    assert found[place].tolist() == RED
    assert found.sum() == 255
    facts = look_at_picture(corner(orientation))
    assert (facts.height, facts.width) == shape
    assert facts.is_rotated == (orientation != 1)


def test_deep_gray_is_scaled_to_8_bits_and_not_clipped() -> None:
    deep = np.array([[0, 256, 32768, 65535]], np.uint16)

    found = decode_picture(saved(Image.fromarray(deep)))

    assert found[0, :, 0].tolist() == [0, 1, 128, 255]


def test_gray_becomes_three_equal_colors() -> None:
    found = decode_picture(saved(Image.fromarray(np.full((2, 2), 77, np.uint8))))

    assert found.tolist() == [[[77] * 3] * 2] * 2


def test_palette_becomes_its_colors() -> None:
    picture = Image.new("P", (1, 1))
    picture.putpalette(RED)

    assert decode_picture(saved(picture)).tolist() == [[RED]]


def test_transparent_pixels_lie_over_white() -> None:
    picture = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    picture.putpixel((1, 0), (255, 0, 0, 0))

    assert decode_picture(saved(picture)).tolist() == [[RED, WHITE]]


def test_cmyk_becomes_colors() -> None:
    found = decode_picture(saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"))

    assert found.shape == (8, 8, 3)
    np.testing.assert_allclose(found[4, 4], RED, atol=8)


def test_incomplete_picture_is_refused() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for kind in ("JPEG", "PNG"):
        data = saved(Image.fromarray(pixels), kind)
        with pytest.raises(MediaError, match="is damaged"):
            decode_picture(data[: len(data) // 2])


def test_picture_with_too_many_pixels_is_refused_before_it_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pictures, "LARGEST_PIXELS", 99)

    with pytest.raises(MediaError, match="10 x 10 pixels, more than 99"):
        look_at_picture(saved(Image.new("RGB", (10, 10))))


def test_header_that_announces_a_huge_picture_is_refused() -> None:
    data = bytearray(saved(Image.new("RGB", (1, 1))))
    data[16:24] = (2**30).to_bytes(4, "big") * 2  # the size in the first chunk
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")

    with pytest.raises(MediaError, match="pixels"):
        decode_picture(bytes(data))


def test_progressive_picture_with_many_scans_is_refused() -> None:
    data = saved(Image.new("RGB", (8, 8)), "JPEG")

    with pytest.raises(MediaError, match="more than 100 scans"):
        decode_picture(data + b"\xff\xda" * 200)


def test_other_format_is_refused() -> None:
    with pytest.raises(MediaError, match="not a readable JPEG or PNG"):
        decode_picture(saved(Image.new("RGB", (2, 2)), "GIF"))


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(0, 300))
def test_damage_is_a_media_error_or_a_picture(noise: bytes, place: int) -> None:
    data = bytearray(saved(Image.new("RGB", (9, 9), (9, 200, 30)), "JPEG"))
    data[place : place + len(noise)] = noise
    try:
        found = decode_picture(bytes(data))
    except MediaError:
        return
    assert found.dtype == np.uint8
    assert found.ndim == 3
