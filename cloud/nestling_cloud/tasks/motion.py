"""Augments windows of three accelerations and three angular rates."""

import math

import torch
from torch.nn import functional


def rotate(inputs: torch.Tensor, degrees: float, generator: torch.Generator) -> torch.Tensor:
    """Return the windows, each rotated about a random axis by a random angle.

    Accelerations and angular rates rotate together, as if the sensor were mounted differently.

    Args:
        inputs: the windows, (N, 6, T), with the three accelerations first.
        degrees: the largest angle, in degrees.
        generator: the random generator.
    """
    count = len(inputs)
    axis = torch.randn(count, 3, generator=generator)
    axis = axis / axis.norm(dim=1, keepdim=True)
    angle = torch.rand(count, 1, 1, generator=generator) * math.radians(degrees)
    x, y, z = axis.unbind(1)
    zero = torch.zeros(count)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).view(count, 3, 3)
    turn = torch.eye(3) + angle.sin() * cross + (1 - angle.cos()) * (cross @ cross)
    return torch.cat([turn @ inputs[:, :3], turn @ inputs[:, 3:]], 1)


def stretch(inputs: torch.Tensor, amount: float, generator: torch.Generator) -> torch.Tensor:
    """Return the windows, each randomly stretched or compressed in time about its center.

    The length stays T. A stretched window loses its ends, and a compressed window is padded by
    reflection.

    Args:
        inputs: the windows, (N, C, T).
        amount: the largest change in speed, as a fraction; 0.2 allows speeds from 0.8 to 1.2.
        generator: the random generator.
    """
    count, _, length = inputs.shape
    speed = 1 + amount * (2 * torch.rand(count, 1, generator=generator) - 1)
    position = torch.linspace(-1, 1, length) * speed  # (N, T)
    grid = torch.stack([position, torch.zeros_like(position)], -1)[:, None]  # (N, 1, T, 2)
    sampled = functional.grid_sample(
        inputs[:, :, None], grid, align_corners=True, padding_mode="reflection"
    )
    return sampled[:, :, 0]
