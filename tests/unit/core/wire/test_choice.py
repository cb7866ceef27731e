"""The form with the fewest bytes is used that both sides know and that loses little."""

import math

import pytest

from nestling.v1.bundle_pb2 import WireForm
from nestling_core.wire.choice import best_form, is_sound
from nestling_core.wire.forms import WIRE_NAMES
from tests.support.wire import INT8, PLAIN, manifest_with

SHAPE = (2, 3)
INT6 = WireForm(name="int6", scales=[0.1, 0.1], payload_bytes=15, lost=0.005)
WEBP = WireForm(name="webp-80", scales=[0.1], offsets=[0.0], payload_bytes=10)


@pytest.mark.parametrize(
    ("tolerance", "known", "chosen"),
    [
        (0.001, WIRE_NAMES, "int8"),
        (0.0051, WIRE_NAMES, "int6"),
        (0.0049, WIRE_NAMES, "int8"),
        (0.5, {"int8"}, "int8"),
        (0.5, (), "fp32"),
    ],
)
def test_smallest_form_that_is_known_and_good_enough_is_chosen(
    tolerance: float, known: set[str], chosen: str
) -> None:
    manifest = manifest_with(PLAIN, INT8, INT6, tolerance=tolerance)

    assert best_form(manifest, known).name == chosen


def test_form_that_loses_exactly_the_tolerance_is_good_enough() -> None:
    exact = WireForm(name="int6", scales=[0.1, 0.1], payload_bytes=15, lost=0.25)

    assert best_form(manifest_with(PLAIN, exact, tolerance=0.25), WIRE_NAMES).name == "int6"


def test_form_that_is_larger_than_plain_floats_is_not_used() -> None:
    large = WireForm(name="int8", scales=[0.1, 0.1], payload_bytes=25)

    assert best_form(manifest_with(PLAIN, large), WIRE_NAMES).name == "fp32"


def test_bundle_without_forms_is_sent_as_plain_floats() -> None:
    found = best_form(manifest_with(), WIRE_NAMES)

    assert (found.name, found.payload_bytes) == ("fp32", 24)


def test_picture_form_is_sound_only_for_pictures() -> None:
    assert is_sound(WEBP, (1, 9, 7))
    assert not is_sound(WEBP, SHAPE)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "int7"},
        {"name": "int8-90"},
        {"scales": [0.1]},
        {"scales": [0.1, 0.0]},
        {"scales": [0.1, math.nan]},
        {"scales": [0.1, math.inf]},
        {"offsets": [0.0, 0.0]},
        {"payload_bytes": 0},
        {"payload_bytes": math.nan},
        {"payload_bytes": math.inf},
        {"lost": math.nan},
        {"lost": -1.1},
    ],
)
def test_form_with_impossible_numbers_is_never_used(fields: dict[str, object]) -> None:
    broken = WireForm()
    broken.CopyFrom(INT8)
    for name, value in fields.items():
        if isinstance(value, list):
            del getattr(broken, name)[:]
            getattr(broken, name).extend(value)
        else:
            setattr(broken, name, value)

    assert is_sound(INT8, SHAPE)
    assert not is_sound(broken, SHAPE)
    assert best_form(manifest_with(PLAIN, broken), WIRE_NAMES).name == "fp32"
