"""Augmentations of inertial windows (N, 6, T): three accelerations, then three angular rates."""

import math

import torch
from torch.nn import functional


def rotate(inputs: torch.Tensor, degrees: float, generator: torch.Generator) -> torch.Tensor:
    """Turn the sensor about a random axis by up to `degrees` (Rodrigues' formula).

    Both triples turn together, as they do when a watch sits differently on the wrist.
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
    """Play each window faster or slower by up to `amount`, mirrored where it runs out."""
    count, _, length = inputs.shape
    speed = 1 + amount * (2 * torch.rand(count, 1, generator=generator) - 1)
    position = torch.linspace(-1, 1, length) * speed  # (N, T)
    grid = torch.stack([position, torch.zeros_like(position)], -1)[:, None]  # (N, 1, T, 2)
    sampled = functional.grid_sample(
        inputs[:, :, None], grid, align_corners=True, padding_mode="reflection"
    )
    return sampled[:, :, 0]
