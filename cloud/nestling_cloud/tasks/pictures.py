"""Augmentations of pictures (N, C, H, W)."""

import torch
from torch.nn import functional


def flip(inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Mirror half of the pictures, left to right."""
    chosen = torch.rand(len(inputs), 1, 1, 1, generator=generator) < 0.5
    return torch.where(chosen, inputs.flip(3), inputs)


def shift(inputs: torch.Tensor, most: int, generator: torch.Generator) -> torch.Tensor:
    """Move each picture by up to `most` points each way; what comes in is black."""
    count, _, height, width = inputs.shape
    padded = functional.pad(inputs, (most,) * 4)
    down, right = torch.randint(2 * most + 1, (2, count, 1), generator=generator)
    rows = (down + torch.arange(height))[:, None, :, None]  # (N, 1, H, 1)
    columns = (right + torch.arange(width))[:, None, None, :]
    pictures = torch.arange(count)[:, None, None, None]
    channels = torch.arange(inputs.shape[1])[None, :, None, None]
    return padded[pictures, channels, rows, columns]


def erase(inputs: torch.Tensor, most: int, generator: torch.Generator) -> torch.Tensor:
    """Blacken a random rectangle of half of the pictures (random erasing, Zhong et al. 2020).

    Args:
        inputs: (N, C, H, W).
        most: longest side of a rectangle.
        generator: of where and how large.
    """
    count, _, height, width = inputs.shape
    chosen = torch.rand(count, 1, generator=generator) < 0.5
    rows = _interval(count, height, most, generator)[:, :, None]
    columns = _interval(count, width, most, generator)[:, None, :]
    return inputs.masked_fill((rows & columns & chosen[:, :, None])[:, None], 0.0)


def _interval(count: int, length: int, most: int, generator: torch.Generator) -> torch.Tensor:
    """A random interval of each row, (N, length)."""
    size = torch.randint(most // 4, most + 1, (count, 1), generator=generator)
    start = torch.randint(length, (count, 1), generator=generator) - size // 2
    place = torch.arange(length)
    return (place >= start) & (place < start + size)
