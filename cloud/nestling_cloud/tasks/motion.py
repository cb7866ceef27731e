"""Augments inertial windows, which have three accelerations and three angular rates."""

import math

import torch
from torch.nn import functional


def rotate(inputs: torch.Tensor, degrees: float, generator: torch.Generator) -> torch.Tensor:
    """Return windows that are rotated about a random axis by a random angle.

    Accelerations and angular rates rotate together, as if the watch sat differently on the wrist.

    Args:
        inputs: the windows, (N, 6, T).
        degrees: the largest angle, in degrees.
        generator: the source of randomness.
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
    """Return windows that are randomly stretched or compressed in time.

    A compressed window is filled up with its mirror image.

    Args:
        inputs: the windows, (N, C, T).
        amount: the largest change of speed, as a fraction of 1.
        generator: the source of randomness.
    """
    count, _, length = inputs.shape
    speed = 1 + amount * (2 * torch.rand(count, 1, generator=generator) - 1)
    position = torch.linspace(-1, 1, length) * speed  # (N, T)
    grid = torch.stack([position, torch.zeros_like(position)], -1)[:, None]  # (N, 1, T, 2)
    sampled = functional.grid_sample(
        inputs[:, :, None], grid, align_corners=True, padding_mode="reflection"
    )
    return sampled[:, :, 0]
