"""Every wire form gives an input back within its stated error, and refuses damaged payloads."""

import struct
import sys
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from nestling.v1.bundle_pb2 import WireForm
from nestling_core.wire import forms
from nestling_core.wire.errors import WireError
from nestling_core.wire.pictures import has_pillow

Floats = NDArray[np.float32]
WINDOW, GRAY, COLORS = (3, 20), (1, 9, 7), (3, 9, 7)
SEEDS = st.integers(0, 2**32 - 1)


def form_of(name: str, shape: tuple[int, ...], scale: float = 0.01) -> WireForm:
    """Return a form that is calibrated to inputs of about -1 to 1."""
    kind = forms.wire_name(name)
    if kind in {"fp32", "fp16"}:
        return WireForm(name=name)
    if kind in forms.PICTURES:
        return WireForm(name=name, scales=[scale], offsets=[-1])
    offset = forms.INTEGERS[kind].has_offset
    return WireForm(
        name=name, scales=[scale] * shape[0], offsets=[-1.0] * shape[0] if offset else []
    )


def sent(form: WireForm, window: Floats) -> Floats:
    return forms.decode(forms.wire_name(form.name), forms.encode(form, window), window.shape)


def drawn(seed: int, shape: tuple[int, ...], magnitude: float) -> Floats:
    rng = np.random.default_rng(seed)
    return (magnitude * rng.normal(size=shape)).astype(np.float32)


@pytest.mark.parametrize("name", list(forms.INTEGERS))
@pytest.mark.parametrize("shape", [WINDOW, COLORS])
@settings(deadline=None)
@given(seed=SEEDS, magnitude=st.floats(-12, 12).map(lambda power: 10**power))
@example(seed=0, magnitude=0.0)
def test_integers_are_off_by_at_most_half_a_scale(
    name: str, shape: tuple[int, ...], seed: int, magnitude: float
) -> None:
    window = drawn(seed, shape, magnitude)
    kind, form = forms.INTEGERS[name], form_of(name, shape)

    decoded = sent(form, window)

    rows = window.reshape(shape[0], -1).astype(np.float64)
    low = np.minimum(rows.min(axis=1), -1) if kind.has_offset else np.zeros(shape[0])
    # An input beyond the calibrated range gets a larger scale.
    scale = np.maximum(0.01, np.abs(rows - low[:, None]).max(axis=1) / kind.steps)
    error = np.abs(decoded.reshape(shape[0], -1) - rows).max(axis=1)
    assert decoded.dtype == np.float32
    assert (error <= 0.5 * scale * (1 + 1e-4) + 1e-6 * np.abs(rows).max(axis=1)).all()


def test_pictures_of_eight_bits_lose_nothing_as_uint8() -> None:
    levels = np.random.default_rng(0).integers(0, 256, COLORS)
    window = (levels / 255).astype(np.float32)
    form = WireForm(name="uint8", scales=[1 / 255] * 3, offsets=[0.0] * 3)

    assert sent(form, window) == pytest.approx(window, abs=1e-7)


@pytest.mark.parametrize("name", ["fp32", "fp16"])
def test_floats_are_kept_to_their_precision(name: str) -> None:
    window = drawn(1, WINDOW, 100)

    assert sent(form_of(name, WINDOW), window) == pytest.approx(
        window, rel=0 if name == "fp32" else 2**-10
    )


def test_input_beyond_the_range_of_float16_is_refused() -> None:
    with pytest.raises(WireError, match="range of float16"):
        forms.encode(form_of("fp16", WINDOW), np.full(WINDOW, 70_000, np.float32))


@pytest.mark.parametrize("name", ["jpeg-90", "jpeg-75", "webp-90", "webp-60"])
@pytest.mark.parametrize("shape", [(1, 32, 24), (3, 32, 24)])
def test_smooth_picture_survives_compression(name: str, shape: tuple[int, ...]) -> None:
    down, right = np.meshgrid(np.linspace(-1, 1, 32), np.linspace(0, 1, 24), indexing="ij")
    window = np.stack([down * right] * shape[0]).astype(np.float32)

    decoded = sent(form_of(name, shape), window)

    assert decoded.shape == shape
    assert np.abs(decoded - window).mean() < 0.02


def test_picture_beyond_the_calibrated_range_is_not_clipped() -> None:
    window = np.linspace(-5, 40, 32 * 24, dtype=np.float32).reshape(1, 32, 24)

    decoded = sent(form_of("webp-90", window.shape), window)

    assert np.abs(decoded - window).mean() < 0.02 * 45


@pytest.mark.parametrize("name", ["int16", "int8", "int6", "uint8"])
def test_neighbors_that_are_alike_take_few_bytes(name: str) -> None:
    slow = np.sin(np.linspace(0, 3, 100, dtype=np.float32))[None]
    noise = drawn(0, (1, 100), 0.5)
    form = form_of(name, slow.shape)

    assert len(forms.encode(form, slow)) < 0.75 * len(forms.encode(form, noise))


def test_forms_suit_the_shape_of_the_inputs() -> None:
    assert forms.candidates(WINDOW) == ["fp32", "fp16", "int16", "int8", "int6"]
    assert "uint8" in forms.candidates((2, 9, 7))
    assert "jpeg-90" not in forms.candidates((2, 9, 7))
    assert {"uint8", "jpeg-75", "webp-60"} < set(forms.candidates(GRAY))


def test_device_without_a_usable_pillow_cannot_encode_pictures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)  # as if it were not installed
    has_pillow.cache_clear()

    found = forms.encodable()

    monkeypatch.undo()
    has_pillow.cache_clear()
    assert found == {"fp16", "int16", "int8", "int6", "uint8"}
    assert "webp" in forms.encodable()


@pytest.mark.parametrize("shape", [(3, 1, 9), (1, 1, 70), (1, 9, 1)])
def test_narrow_picture_keeps_its_axes(shape: tuple[int, ...]) -> None:
    assert sent(form_of("jpeg-90", shape), np.zeros(shape, np.float32)).shape == shape


def test_picture_that_is_too_wide_for_its_format_is_refused() -> None:
    shape = (1, 2, 17_000)

    with pytest.raises(WireError, match="cannot write this input as WEBP"):
        forms.encode(form_of("webp-60", shape), np.zeros(shape, np.float32))


def damaged(payload: bytes) -> dict[str, bytes]:
    scales = payload[:12]
    return {
        "empty": b"",
        "cut": payload[:-1],
        "longer": payload + b"x",
        "no scales": payload[:5],
        "a scale of zero": bytes(12) + payload[12:],
        "a scale that is not a number": struct.pack("<f", np.nan) * 3 + payload[12:],
        "an infinite scale": struct.pack("<f", np.inf) * 3 + payload[12:],
        "noise": scales + bytes(range(200)),
        "a bomb": scales + zlib.compress(bytes(10_000_000), wbits=-15)[:4000],
        "too large": scales + bytes(10_000),
    }


@pytest.mark.parametrize("name", ["int16", "int8", "int6"])
@pytest.mark.parametrize("fault", list(damaged(bytes(99))))
def test_damaged_integers_are_refused(name: str, fault: str) -> None:
    payload = damaged(forms.encode(form_of(name, WINDOW), drawn(0, WINDOW, 1)))[fault]

    with pytest.raises(WireError):
        forms.decode(name, payload, WINDOW)


def test_bomb_is_not_unpacked_beyond_the_shape() -> None:
    payload = b"\x00\x00\x80\x3f" * 3 + zlib.compress(bytes(3_000_000), wbits=-15)

    tracemalloc.start()
    with pytest.raises(WireError, match="does not unpack to 60 bytes"):
        forms.decode("int8", payload, WINDOW)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 300_000


@pytest.mark.parametrize("name", ["jpeg", "webp"])
def test_damaged_pictures_are_refused(name: str) -> None:
    window = drawn(0, COLORS, 1)
    other = "webp-90" if name == "jpeg" else "jpeg-90"
    payload = forms.encode(form_of(f"{name}-90", COLORS), window)
    faults = [
        b"",
        payload[:5],
        payload[:40],
        payload[:8] + bytes(50),
        forms.encode(form_of(other, COLORS), window),
        forms.encode(form_of(f"{name}-90", GRAY), drawn(0, (1, 7, 9), 1)),
        forms.encode(form_of(f"{name}-90", COLORS), drawn(0, (3, 1000, 7), 1))[:4000],
        struct.pack("<ff", np.nan, 1) + payload[8:],
        struct.pack("<ff", 0, 0) + payload[8:],
    ]

    for fault in faults:
        with pytest.raises(WireError):
            forms.decode(name, fault, COLORS)


def test_picture_with_endless_scans_is_refused_before_it_is_decoded() -> None:
    payload = forms.encode(form_of("jpeg-90", COLORS), drawn(0, COLORS, 1))

    with pytest.raises(WireError, match="more than 50 scans"):
        forms.decode("jpeg", payload + b"\xff\xda" * 51, COLORS)


def test_picture_that_claims_to_be_huge_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    huge = forms.encode(form_of("webp-60", (1, 600, 600)), np.zeros((1, 600, 600), np.float32))
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("pixels were unpacked"))

    with pytest.raises(WireError, match="600"):
        forms.decode("webp", huge, COLORS)


@pytest.mark.parametrize("name", ["", "jpeg", "zip", "int8-90", "__class__"])
def test_unknown_form_is_refused_with_those_that_exist(name: str) -> None:
    with pytest.raises(WireError, match="there are fp32, fp16, int16, int8, int6, uint8"):
        forms.decode(name, bytes(12), WINDOW)


@settings(deadline=None)
@given(st.sampled_from(["fp32", *forms.WIRE_NAMES]), st.binary(max_size=300))
def test_any_bytes_are_decoded_or_refused(name: str, payload: bytes) -> None:
    try:
        decoded = forms.decode(name, payload, GRAY)
    except WireError:
        return
    assert decoded.shape == GRAY
