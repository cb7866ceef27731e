"""A teacher of the tiny task that needs no training, and a domain unknown to it."""

import dataclasses

import numpy as np
import torch
from torch import nn

from nestling_cloud.learning.adaptation import Frame
from nestling_cloud.tasks import Examples, Recipe
from tests.support.tiny_task import LENGTH, TINY_TASK

FLIP = np.array([[[1.0], [-1.0]]], np.float32)
SAME: Frame = ((1.0, 0.0), (0.0, 1.0))
MIRRORED: Frame = ((1.0, 0.0), (0.0, -1.0))


class Matcher(nn.Module):
    """Recognizes the three pitches, but only if the cosine leads the sine."""

    def __init__(self) -> None:
        super().__init__()
        angles = torch.arange(LENGTH)[None] * torch.tensor([[0.6], [1.2], [1.8]])
        self.waves = torch.stack([angles.sin(), angles.cos()])  # (2, pitches, T)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        real = torch.einsum("nct,cpt->np", x, self.waves)
        turned = torch.stack([self.waves[1], -self.waves[0]])
        imaginary = torch.einsum("nct,cpt->np", x, turned)
        return (real.square() + imaginary.square()).sqrt() / 2


def mirrored(examples: Examples) -> Examples:
    """Return the same tones with the cosine negated, which the teacher does not recognize."""
    return Examples(inputs=examples.inputs * FLIP, labels=examples.labels)


TASK = dataclasses.replace(
    TINY_TASK,
    teacher=lambda _signature: Matcher(),
    teacher_recipe=None,
    student_recipe=Recipe(epochs=12, batch=64),
)
