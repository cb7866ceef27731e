"""Augments images by flipping, shifting and erasing."""

import torch
from torch.nn import functional


def flip(inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return the images, each mirrored left to right with a probability of one half.

    Args:
        inputs: the images, (N, C, H, W).
        generator: the random generator.
    """
    chosen = torch.rand(len(inputs), 1, 1, 1, generator=generator) < 0.5
    return torch.where(chosen, inputs.flip(3), inputs)


def shift(inputs: torch.Tensor, most: int, generator: torch.Generator) -> torch.Tensor:
    """Return the images, each shifted vertically and horizontally by random numbers of pixels.

    Pixels that the shift leaves without a value become 0.

    Args:
        inputs: the images, (N, C, H, W).
        most: the largest shift in each of the four directions, in pixels.
        generator: the random generator.
    """
    count, _, height, width = inputs.shape
    padded = functional.pad(inputs, (most,) * 4)
    down, right = torch.randint(2 * most + 1, (2, count, 1), generator=generator)
    rows = (down + torch.arange(height))[:, None, :, None]  # (N, 1, H, 1)
    columns = (right + torch.arange(width))[:, None, None, :]
    pictures = torch.arange(count)[:, None, None, None]
    channels = torch.arange(inputs.shape[1])[None, :, None, None]
    return padded[pictures, channels, rows, columns]


def erase(inputs: torch.Tensor, most: int, generator: torch.Generator) -> torch.Tensor:
    """Return the images, each with a random rectangle set to 0 with a probability of one half.

    This is random erasing (Zhong et al. 2020).

    Args:
        inputs: the images, (N, C, H, W).
        most: the longest side of a rectangle, in pixels; the shortest side is `most // 4`. The part
            of a rectangle that lies outside the image is cut off.
        generator: the random generator.
    """
    count, _, height, width = inputs.shape
    chosen = torch.rand(count, 1, generator=generator) < 0.5
    rows = _interval(count, height, most, generator)[:, :, None]
    columns = _interval(count, width, most, generator)[:, None, :]
    return inputs.masked_fill((rows & columns & chosen[:, :, None])[:, None], 0.0)


def _interval(count: int, length: int, most: int, generator: torch.Generator) -> torch.Tensor:
    """Return a random interval along an axis for each image, as a mask (count, length).

    An interval is `most // 4` to `most` pixels long, but any part beyond the image is cut off.
    """
    size = torch.randint(most // 4, most + 1, (count, 1), generator=generator)
    start = torch.randint(length, (count, 1), generator=generator) - size // 2
    place = torch.arange(length)
    return (place >= start) & (place < start + size)
