"""Log-mel features, compared with their definition by numpy's Fourier transform."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nestling_core.student.blocks import SizesError
from nestling_core.student.front_end import LogMelLayer, features_of
from nestling_core.student.log_mel import LogMel, log_mel
from nestling_core.student.normalizer import Normalizer

RATE_HZ = 8000
SIZES = LogMel(rate_hz=RATE_HZ, window=200, hop=80, mels=32)


def mels_of(hertz: NDArray[np.floating]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = 2595 * np.log10(1 + hertz / 700)
    return found


def by_definition(sizes: LogMel, samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the features (mels, windows) of samples (T,), computed without any of our code."""
    ends = mels_of(np.array([sizes.low_hz, sizes.high_hz or sizes.rate_hz / 2]))
    edges = np.linspace(ends[0], ends[1], sizes.mels + 2)
    places = mels_of(np.fft.rfftfreq(sizes.length, 1 / sizes.rate_hz))[:, None]
    rising = (places - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - places) / np.diff(edges)[1:]
    shares = np.clip(np.minimum(rising, falling), 0, None)
    views = np.lib.stride_tricks.sliding_window_view(samples, sizes.window)[:: sizes.hop]
    hann = np.hanning(sizes.window + 1)[:-1]
    spectra = np.fft.rfft(views * hann * 2 / hann.sum(), sizes.length)
    logarithms: NDArray[np.float64] = np.log(np.abs(spectra) ** 2 @ shares + sizes.floor)
    return logarithms.T


def features(sizes: LogMel, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the features (mels, windows) of samples (T,), as a network computes them."""
    layer = LogMelLayer(sizes)
    made: NDArray[np.float32] = layer(torch.from_numpy(samples)[None, None]).numpy()
    return made.reshape(sizes.shape((1, len(samples)))[-2:])


def tone(hertz: float, amplitude: float = 1.0, length: int = 4000) -> NDArray[np.float32]:
    wave = amplitude * np.sin(2 * np.pi * hertz * np.arange(length) / RATE_HZ)
    samples: NDArray[np.float32] = wave.astype(np.float32)
    return samples


@settings(max_examples=40, deadline=None)
@given(
    window=st.integers(16, 400),
    hop=st.integers(1, 200),
    mels=st.integers(1, 12),
    more=st.integers(0, 600),
    low_hz=st.floats(0, 500),
    as_channels=st.booleans(),
    seed=st.integers(0, 9),
)
def test_features_of_any_sizes_are_those_of_the_definition(  # noqa: PLR0917  as many sizes
    window: int, hop: int, mels: int, more: int, low_hz: float, as_channels: bool, seed: int
) -> None:
    try:
        sizes = LogMel(
            rate_hz=RATE_HZ,
            window=window,
            hop=hop,
            mels=mels,
            low_hz=low_hz,
            bands_as_channels=as_channels,
        )
    except SizesError as err:
        assert "too narrow" in str(err)  # noqa: PT017  some sizes have no features
        return
    samples = np.random.default_rng(seed).normal(0, 0.1, window + more).astype(np.float32)

    found = LogMelLayer(sizes)(torch.from_numpy(samples)[None, None])

    assert tuple(found.shape[1:]) == sizes.shape((1, window + more))
    expected = by_definition(sizes, samples)
    assert found.numpy().reshape(expected.shape) == pytest.approx(expected, abs=2e-3)


def test_speech_like_sizes_agree_with_the_definition_closely() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)

    assert np.abs(features(SIZES, samples) - by_definition(SIZES, samples)).max() < 1e-4


def test_silence_is_the_floor() -> None:
    assert features(SIZES, np.zeros(4000, np.float32)) == pytest.approx(math.log(SIZES.floor))


def test_constant_offset_sounds_like_silence() -> None:
    sizes = LogMel(rate_hz=RATE_HZ, window=256, hop=128, mels=32, low_hz=100.0)

    found = features(sizes, np.ones(4000, np.float32))

    assert found.max() < math.log(sizes.floor) + 0.1  # 70 dB below a sine of that amplitude


def test_removed_mean_leaves_what_changes_in_time() -> None:
    sizes = dataclasses.replace(SIZES, remove_mean=True)
    samples = np.concatenate([tone(440.0, 0.1), np.zeros(4000, np.float32), tone(900.0, 0.1)])

    found = features(sizes, samples)

    plain = features(SIZES, samples)
    assert found == pytest.approx(plain - plain.mean(axis=1, keepdims=True), abs=1e-5)
    assert features(sizes, np.zeros(4000, np.float32)) == pytest.approx(0, abs=1e-5)


def test_sine_at_full_scale_has_about_the_power_one_in_its_band() -> None:
    found = features(SIZES, tone(1000.0))

    assert found.max() == pytest.approx(0.0, abs=1.0)
    assert features(SIZES, tone(1000.0, 0.1)).max() == pytest.approx(
        found.max() - math.log(100), abs=1e-3
    )


def test_higher_tones_are_in_higher_bands() -> None:
    bands = [int(features(SIZES, tone(hertz)).mean(axis=1).argmax()) for hertz in (200, 800, 3000)]

    assert bands == sorted(set(bands))


def test_full_scale_square_wave_and_denormal_samples_have_finite_features() -> None:
    square = np.sign(tone(440.0)) + np.float32(0)

    assert np.isfinite(features(SIZES, square)).all()
    assert np.isfinite(features(SIZES, np.full(4000, 1e-40, np.float32))).all()


def test_sample_that_is_not_a_number_spoils_only_the_windows_with_it() -> None:
    samples = tone(440.0)
    samples[0] = math.nan

    found = features(SIZES, samples)

    # The first sample of a Hann window has no weight, but it is no number either.
    assert np.isnan(found[:, 0]).all()
    assert np.isfinite(found[:, 1:]).all()


def test_sample_more_or_less_changes_the_number_of_windows_only_at_whole_hops() -> None:
    assert SIZES.shape((1, 200)) == (1, 32, 1)
    assert SIZES.shape((1, 279)) == (1, 32, 1)
    assert SIZES.shape((1, 280)) == (1, 32, 2)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 199), "199 samples are shorter than a window of 200"),
        ((2, 4000), r"not \[2, 4000\]"),
        ((1, 40, 40), r"samples \(1, T\)"),
    ],
)
def test_inputs_without_features_are_refused(shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(SizesError, match=words):
        SIZES.shape(shape)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hop": 0}, "hop 0, .*at least 1"),
        ({"window": 1}, "at least 2 samples"),
        ({"spectrum": 128}, "at least as long as a window"),
        ({"window": 20_000}, "at most 16384"),
        ({"mels": 100_000}, "100000 bands"),
        ({"low_hz": 4000.0}, "low_hz must be at least 0 and below high_hz"),
        ({"low_hz": -1.0}, "low_hz must be at least 0"),
        ({"high_hz": 4001.0}, "at most half of 8000"),
        ({"floor": 0.0}, "floor 0"),
        ({"floor": math.nan}, "floor nan"),
        ({"low_hz": math.nan}, "low_hz must be at least 0"),
        ({"mels": 120}, "some would be empty"),
    ],
)
def test_sizes_without_features_are_refused(changes: dict[str, float], words: str) -> None:
    fields = {"rate_hz": RATE_HZ, "window": 200, "hop": 80, "mels": 32, **changes}

    with pytest.raises(SizesError, match=words):
        LogMel(**fields)  # type: ignore[arg-type]  # one dictionary for several types


def test_times_become_samples() -> None:
    sizes = log_mel(16_000, window_ms=25, hop_ms=10)

    assert (sizes.window, sizes.hop, sizes.length, sizes.mels) == (400, 160, 512, 40)


def test_half_precision_is_not_used_for_features() -> None:
    samples = torch.from_numpy(tone(440.0, 0.01))[None, None]
    layer = LogMelLayer(SIZES)

    with torch.autocast("cpu", torch.bfloat16):
        found = layer(samples)

    assert torch.equal(found, layer(samples))


def test_many_inputs_have_the_features_that_each_has_alone() -> None:
    samples = torch.from_numpy(np.random.default_rng(1).normal(size=(300, 1, 400))).float()

    together = features_of(SIZES, samples)

    assert torch.allclose(together[299:], LogMelLayer(SIZES)(samples[299:]), atol=1e-5)


def test_layer_has_no_state_to_store_or_to_send() -> None:
    layer = LogMelLayer(SIZES)

    assert not layer.state_dict()
    assert not list(layer.parameters())


def test_normalization_of_features_is_the_same_from_batches() -> None:
    sizes = log_mel(RATE_HZ, mels=8)
    inputs = np.random.default_rng(0).normal(0, 0.1, (12, 1, 2000)).astype(np.float32)
    channels, *axes = sizes.shape([1, 2000])
    whole, parts = (Normalizer(channels, len(axes), sizes) for _ in range(2))

    whole.fit(inputs)
    parts.fit_batches(np.split(inputs, 3))

    assert parts.mean.numpy() == pytest.approx(whole.mean.numpy(), rel=1e-5)
    assert parts.deviation.numpy() == pytest.approx(whole.deviation.numpy(), rel=1e-5)
