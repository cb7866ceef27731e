import base64
import io
import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.console.charts.input_pictures import input_picture
from tests.support.console_views import hard_input

SIGNATURE = Signature(channels=["ax", "<wx>"], units=["g", ""])


def _parse(drawn: str) -> ET.Element:
    return ET.fromstring(drawn)  # noqa: S314 (our own)


def test_waveform_has_a_line_for_each_channel_with_name_and_unit() -> None:
    drawn = _parse(input_picture(hard_input((2, 5)), SIGNATURE))

    assert len(drawn.findall("polyline")) == 2
    texts = [text.text for text in drawn.findall("text")]
    assert texts == ["ax, g", "0 \u2026 4", "<wx>", "5 \u2026 9"]
    assert drawn.get("aria-label") == "waveform of ax, g, <wx>; 5 samples"


def test_channels_without_names_are_numbered() -> None:
    assert "channel 3" in input_picture(hard_input((3, 4)), SIGNATURE)


def test_constant_channel_and_single_sample_are_drawn() -> None:
    drawn = _parse(input_picture(hard_input((1, 1), [[2.0]]), Signature()))

    (line,) = drawn.findall("polyline")
    assert re.fullmatch(r"[\d.]+,[\d.]+", line.get("points", ""))


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (5, "L")])
def test_image_is_a_png_of_the_input_size(channels: int, mode: str) -> None:
    drawn = input_picture(hard_input((channels, 4, 6)), Signature())

    (data,) = re.findall(r"base64,([^\"]+)", drawn)
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert (image.size, image.mode) == ((6, 4), mode)
        assert image.getextrema() is not None


def test_pixels_run_from_black_to_white() -> None:
    drawn = input_picture(hard_input((1, 1, 3), [-1.0, 0.0, 1.0]), Signature())

    (data,) = re.findall(r"base64,([^\"]+)", drawn)
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert list(image.tobytes()) == [0, 127, 255]


@pytest.mark.parametrize(
    ("shape", "values"),
    [((2, 2), [1.0]), ((2,), [np.nan, 1.0]), ((1, 1, 1, 1), [1.0]), ((0, 3), [])],
)
def test_values_that_cannot_be_drawn_show_a_text(
    shape: tuple[int, ...], values: list[float]
) -> None:
    assert "cannot be drawn" in input_picture(hard_input(shape, values), Signature())
