"""Find the frame of the target's sensor without labels.

A sensor on the other wrist, or mounted the other way round, records the same movements along other
axes. Which axes is one of a few possibilities, and the teacher can distinguish them: in the right
frame it is confident about each input and finds all classes.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nestling_cloud.learning.adaptation.losses import information
from nestling_cloud.learning.loop import logits_of

# A matrix (C, C) that maps a target input to the source's frame.
Frame = tuple[tuple[float, ...], ...]

# Inputs, evenly spaced, that frames are compared on.
_COMPARED_INPUTS = 1024
# Least gain of another frame, nats. A teacher trained on both wrists gets nearly as much
# information in a mirrored frame as in its own.
_LEAST_GAIN = 0.1


def inertial_frames() -> tuple[Frame, ...]:
    """Return the frames of (ax, ay, az, wx, wy, wz) with any axes reversed.

    Four are half turns of the sensor and four are mirrored, as left is to right. A mirror keeps the
    direction of an acceleration; an angular rate, an axial vector, is reversed as well.
    """
    signs = itertools.product((1.0, -1.0), repeat=3)
    return tuple(_diagonal((x, y, z), x * y * z) for x, y, z in signs)


def _diagonal(signs: tuple[float, float, float], determinant: float) -> Frame:
    diagonal = np.diag([*signs, *(determinant * sign for sign in signs)])
    return tuple(map(tuple, diagonal.tolist()))


@dataclass(frozen=True, kw_only=True)
class FrameChoice:
    """The frame in which the teacher's answers carry most information.

    Attributes:
        frame: the chosen frame.
        gain: information gained over the first frame, nats; 0 if the first is chosen.
    """

    frame: Frame
    gain: float


def choose_frame(
    teacher: nn.Module, target: NDArray[np.float32], frames: Sequence[Frame]
) -> FrameChoice:
    """Choose the frame in which the teacher's answers carry most information.

    This assumes that one of the frames is right, and that the target has examples of all classes in
    roughly similar numbers.

    Args:
        teacher: trained on the source.
        target: (N, *shape).
        frames: at least one; the first is chosen unless another one is clearly better.
    """
    inputs = torch.from_numpy(target[:: max(1, len(target) // _COMPARED_INPUTS)])
    found = [
        information(logits_of(teacher, turn(inputs, torch.tensor(frame)))).item()
        for frame in frames
    ]
    best = max(range(len(frames)), key=found.__getitem__)
    gain = found[best] - found[0]
    if gain < _LEAST_GAIN:
        return FrameChoice(frame=frames[0], gain=0.0)
    return FrameChoice(frame=frames[best], gain=gain)


def turn(inputs: torch.Tensor, frame: torch.Tensor) -> torch.Tensor:
    """Transform channels by a frame, (N, C, ...) x (C, C) -> (N, C, ...).

    Args:
        inputs: (N, C, ...).
        frame: (C, C).
    """
    return torch.einsum("dc,nc...->nd...", frame, inputs)


class FramedTeacher(nn.Module):
    """A teacher that answers inputs in the target's frame."""

    frame: torch.Tensor

    def __init__(self, teacher: nn.Module, frame: Frame) -> None:
        """Put a frame in front of a teacher."""
        super().__init__()
        self.teacher = teacher
        self.register_buffer("frame", torch.tensor(frame))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, *shape) to logits (N, classes)."""
        logits: torch.Tensor = self.teacher(turn(x, self.frame))
        return logits
