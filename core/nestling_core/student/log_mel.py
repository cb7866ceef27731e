"""Defines the sizes of a log-mel front end, which turns raw samples into features.

The features are the logarithms of a sound's power in frequency bands that are equally wide on the
mel scale (Davis & Mermelstein 1980), one column for each window of samples. They are part of a
network: a device passes raw samples to its graph, so that device and cloud compute the same.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nestling_core.student.blocks import SizesError

MEL_BREAK_HZ = 700.0
"""The frequency at which the mel scale turns from linear to logarithmic (O'Shaughnessy 1987)."""

_LONGEST = 1 << 14  # keeps the matrices of a front end small whatever sizes a peer sends


@dataclass(frozen=True, kw_only=True)
class LogMel:
    """The sizes of a log-mel front end.

    Samples are from -1 to 1. Power is scaled so that the logarithm is about 0 for a sine at full
    scale, and that of the floor for silence. Windows do not reach beyond the input: samples after
    the last whole window are not used.

    Attributes:
        rate_hz: the number of samples in a second.
        window: the number of samples in a window.
        hop: the number of samples from the start of a window to that of the next one.
        mels: the number of frequency bands.
        low_hz: the lower edge of the first band.
        high_hz: the upper edge of the last band; 0 for half the rate.
        spectrum: the length of the Fourier transform, to which a window is filled up with zeros; 0
            for the smallest power of two that holds a window.
        floor: what is added to the power of each band before the logarithm.
        remove_mean: whether to subtract from each band its mean over the input's windows. What
            remains does not depend on loudness, microphone and room (cepstral mean normalization,
            Atal 1974), but steady sounds no longer differ.
        bands_as_channels: whether the bands are channels, (mels, windows), for a student along one
            axis; otherwise the features are a picture with one channel, (1, mels, windows).
    """

    rate_hz: int
    window: int
    hop: int
    mels: int = 40
    low_hz: float = 60.0
    high_hz: float = 0.0
    spectrum: int = 0
    floor: float = 1e-7
    remove_mean: bool = False
    bands_as_channels: bool = False

    def __post_init__(self) -> None:
        """Raise SizesError if there are no such features, or if a band would always be empty."""
        if min(self.rate_hz, self.hop, self.mels) < 1 or self.window < 2:
            raise SizesError(
                f"rate_hz {self.rate_hz}, window {self.window}, hop {self.hop}, mels {self.mels}: "
                "window must be at least 2 samples, the others at least 1"
            )
        if not self.window <= self.length <= _LONGEST or self.mels > self.length:
            raise SizesError(
                f"a spectrum of {self.length} samples for {self.mels} bands: it must be at least "
                f"as long as a window, which has {self.window}, and at most {_LONGEST}"
            )
        if not 0 <= self.low_hz < self.top_hz <= self.rate_hz / 2:
            raise SizesError(
                f"bands from {self.low_hz:g} to {self.top_hz:g} Hz: low_hz must be at least 0 and "
                f"below high_hz, which must be at most half of {self.rate_hz} samples a second"
            )
        if not 1e-20 <= self.floor <= 1:  # float32 holds it, and its logarithm
            raise SizesError(f"floor {self.floor:g}: use 1e-20 to 1")
        if not len(self.bins) or not self.weights.any(axis=0).all():
            raise SizesError(
                f"{self.mels} bands are too narrow for a spectrum of {self.length} samples at "
                f"{self.rate_hz} Hz, and some would be empty: use fewer, or a longer spectrum"
            )

    @property
    def top_hz(self) -> float:
        """The upper edge of the last band."""
        return self.high_hz or self.rate_hz / 2

    @property
    def length(self) -> int:
        """The length of the Fourier transform."""
        return self.spectrum or 1 << (self.window - 1).bit_length()

    @property
    def band_width(self) -> float:
        """The distance between the centers of neighboring bands, in mels divided by 1127."""
        return (_mel(self.top_hz) - _mel(self.low_hz)) / (self.mels + 1)

    @property
    def first_edge(self) -> float:
        """The lower edge of the first band, in distances between bands."""
        return _mel(self.low_hz) / self.band_width

    @property
    def bins(self) -> range:
        """The indices of the frequencies that lie in any of the bands."""
        step = self.rate_hz / self.length
        inside = [k for k in range(self.length // 2 + 1) if self.low_hz < k * step < self.top_hz]
        return range(inside[0], inside[-1] + 1) if inside else range(0)

    @property
    def gain(self) -> float:
        """The factor that turns a sum over a window into an amplitude.

        The mean of a Hann window is a half, and a sine has half of its amplitude in each of its two
        frequencies.
        """
        return 4 / self.window

    @cached_property
    def waves(self) -> NDArray[np.float64]:
        """The windowed cosines, then the sines, of all frequencies, (2 F, window)."""
        place = np.arange(self.window)
        angles = 2 * np.pi / self.length * (np.outer(self.bins, place) % self.length)
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * place / self.window)
        waves: NDArray[np.float64] = np.concatenate([np.cos(angles), np.sin(angles)])
        return self.gain * hann * waves

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """The share of each frequency's power that counts in each band, (F, mels), 0 to 1.

        A share falls linearly, on the mel scale, from a band's center to the centers beside it.
        """
        hertz = np.array(self.bins) * self.rate_hz / self.length
        places = np.log1p(hertz / MEL_BREAK_HZ) / self.band_width - self.first_edge
        centers = np.arange(1, self.mels + 1)
        shares: NDArray[np.float64] = np.maximum(0, 1 - np.abs(places[:, None] - centers))
        return shares

    def shape(self, samples: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of the features of one input.

        Args:
            samples: the shape of the input, (1, samples).

        Raises:
            SizesError: the input has several channels or axes, or is shorter than a window.
        """
        if len(samples) != 2 or samples[0] != 1:
            raise SizesError(f"log-mel features are of samples (1, T), not {list(samples)}")
        if samples[1] < self.window:
            raise SizesError(f"{samples[1]} samples are shorter than a window of {self.window}")
        windows = (samples[1] - self.window) // self.hop + 1
        return (self.mels, windows) if self.bands_as_channels else (1, self.mels, windows)

    def macs(self, samples: Sequence[int]) -> int:
        """Return the number of multiply-accumulates for one input of a shape, (1, samples)."""
        waves = 2 * len(self.bins)
        return self.shape(samples)[-1] * waves * (self.window + self.mels)

    def memory_bytes(self, samples: Sequence[int]) -> int:
        """Return the size of what the front end keeps in memory in float32.

        This is the size of its matrices, of one input, and of the waves' sums for this input.

        Args:
            samples: the shape of the input, (1, samples).
        """
        waves = 2 * len(self.bins)
        sums = self.shape(samples)[-1] * waves
        return 4 * (waves * (self.window + self.mels) + math.prod(samples) + sums)


def log_mel(
    rate_hz: int, *, window_ms: float = 32.0, hop_ms: float = 16.0, mels: int = 40
) -> LogMel:
    """Return a log-mel front end for a rate, with its times in milliseconds.

    Args:
        rate_hz: the number of samples in a second.
        window_ms: the length of a window.
        hop_ms: the time from the start of a window to that of the next one.
        mels: the number of frequency bands.

    Raises:
        SizesError: there are no such features.
    """
    return LogMel(
        rate_hz=rate_hz,
        window=round(rate_hz * window_ms / 1000),
        hop=round(rate_hz * hop_ms / 1000),
        mels=mels,
    )


def _mel(hertz: float) -> float:
    """Return a frequency on the mel scale, in mels divided by 1127."""
    return math.log1p(hertz / MEL_BREAK_HZ)
