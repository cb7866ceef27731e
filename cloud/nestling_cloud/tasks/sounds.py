"""Augments sounds as raw samples, (N, 1, T), from -1 to 1."""

import torch
from torch.nn import functional

_BANDS = 6  # points at which the gain of `filter_tone` is drawn, at equal distances in frequency


def shift(inputs: torch.Tensor, most: int, generator: torch.Generator) -> torch.Tensor:
    """Return the sounds, each moved forward or backward in time by a random number of samples.

    Samples that the shift leaves without a value become 0.

    Args:
        inputs: the sounds, or windows of several channels, (N, C, T).
        most: the largest shift, in samples.
        generator: the random generator.
    """
    count, channels, length = inputs.shape
    start = torch.randint(2 * most + 1, (count, 1, 1), generator=generator)
    places = (start + torch.arange(length)).expand(-1, channels, -1)
    return functional.pad(inputs, (most, most)).gather(2, places)


def change_speed(inputs: torch.Tensor, amount: float, generator: torch.Generator) -> torch.Tensor:
    """Return the sounds, each played faster and higher, or slower and lower, about its middle.

    The length stays T. A slower sound loses its ends, and a faster one is padded with zeros.

    Args:
        inputs: the sounds, (N, 1, T).
        amount: the largest change in speed, as a fraction; 0.2 allows speeds from 0.8 to 1.2.
        generator: the random generator.
    """
    count, _, length = inputs.shape
    speed = 1 + amount * (2 * torch.rand(count, 1, 1, generator=generator) - 1)
    middle = (length - 1) / 2
    places = (torch.arange(length) - middle) * speed + middle  # (N, 1, T)
    before = places.floor().clamp(-1, length)
    share = (places - before).clamp(0, 1)
    index = before.long() + 1  # in the padded sounds
    padded = functional.pad(inputs, (1, 2))
    return padded.gather(2, index) * (1 - share) + padded.gather(2, index + 1) * share


def change_level(inputs: torch.Tensor, decibels: float, generator: torch.Generator) -> torch.Tensor:
    """Return the sounds, each made louder or softer by a random factor.

    Samples may leave the range from -1 to 1, as they do not in a recording.

    Args:
        inputs: the sounds, (N, 1, T).
        decibels: the largest change, in dB.
        generator: the random generator.
    """
    change = decibels * (2 * torch.rand(len(inputs), 1, 1, generator=generator) - 1)
    return inputs * 10 ** (change / 20)


def filter_tone(inputs: torch.Tensor, decibels: float, generator: torch.Generator) -> torch.Tensor:
    """Return the sounds, each with a random gain that changes smoothly with the frequency.

    This imitates other microphones and rooms.

    Args:
        inputs: the sounds, (N, 1, T).
        decibels: the largest gain or loss at a frequency, in dB.
        generator: the random generator.
    """
    count, _, length = inputs.shape
    drawn = decibels * (2 * torch.rand(count, 1, _BANDS, generator=generator) - 1)
    gain = functional.interpolate(drawn, length // 2 + 1, mode="linear", align_corners=True)
    filtered: torch.Tensor = torch.fft.irfft(torch.fft.rfft(inputs) * 10 ** (gain / 20), n=length)
    return filtered


def mute(inputs: torch.Tensor, most: int, generator: torch.Generator) -> torch.Tensor:
    """Return the sounds, each with a random interval set to 0 with a probability of one half.

    Args:
        inputs: the sounds, (N, 1, T).
        most: the longest interval, in samples. Any part beyond the sound is cut off.
        generator: the random generator.
    """
    count, _, length = inputs.shape
    size = torch.randint(most + 1, (count, 1, 1), generator=generator)
    start = torch.randint(length, (count, 1, 1), generator=generator) - size // 2
    chosen = torch.rand(count, 1, 1, generator=generator) < 0.5
    place = torch.arange(length)
    return inputs.masked_fill((place >= start) & (place < start + size) & chosen, 0.0)


def add_noise(
    inputs: torch.Tensor, loudest: float, softest: float, generator: torch.Generator
) -> torch.Tensor:
    """Return the sounds, each with white noise of a random level below the sound's peak.

    Args:
        inputs: the sounds, (N, 1, T).
        loudest: the level of the loudest noise below the largest sample, in dB.
        softest: the level of the softest noise below the largest sample, in dB.
        generator: the random generator.
    """
    below = loudest + (softest - loudest) * torch.rand(len(inputs), 1, 1, generator=generator)
    level = inputs.abs().amax(2, keepdim=True) * 10 ** (-below / 20)
    return inputs + level * torch.randn(inputs.shape, generator=generator)
