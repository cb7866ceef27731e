"""The frame of the target's sensor, found without labels.

A sensor on the other wrist, or worn turned by half a turn, sees the same movements along other
axes. Which ones is one of a few possibilities, and the teacher tells them apart: in the right frame
it is sure of each input and finds all classes.
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

# Channels by channels: what it makes of a target input is in the source's frame.
Frame = tuple[tuple[float, ...], ...]

_LOOK = 1024  # inputs, evenly spread, that frames are compared on
# Nats. A teacher that knows both wrists finds nearly as much in a mirrored frame as in its own.
_CLEAR = 0.1


def inertial_frames() -> tuple[Frame, ...]:
    """Frames of accelerations and angular rates (ax, ay, az, wx, wy, wz) with axes reversed.

    Four are half turns of the sensor and four are mirrored, as left is to right. An acceleration
    keeps its direction in a mirror; an angular rate, an axial vector, reverses too.
    """
    signs = itertools.product((1.0, -1.0), repeat=3)
    return tuple(_diagonal((x, y, z), x * y * z) for x, y, z in signs)


def _diagonal(signs: tuple[float, float, float], determinant: float) -> Frame:
    diagonal = np.diag([*signs, *(determinant * sign for sign in signs)])
    return tuple(map(tuple, diagonal.tolist()))


@dataclass(frozen=True, kw_only=True)
class FrameChoice:
    """The frame that the teacher understands best.

    Attributes:
        frame: the chosen one.
        gain: nats of information that it brings over the first frame, 0 if it is the first.
    """

    frame: Frame
    gain: float


def choose_frame(
    teacher: nn.Module, target: NDArray[np.float32], frames: Sequence[Frame]
) -> FrameChoice:
    """Take the frame in which the teacher's answers carry most information.

    It takes for granted that one of the frames is right, and that the target has examples of all
    classes in not too unlike numbers.

    Args:
        teacher: trained on the source.
        target: (N, *shape).
        frames: at least one; the first is kept unless another one is clearly better.
    """
    look = torch.from_numpy(target[:: max(1, len(target) // _LOOK)])
    found = [
        information(logits_of(teacher, turn(look, torch.tensor(frame)))).item() for frame in frames
    ]
    best = max(range(len(frames)), key=found.__getitem__)
    gain = found[best] - found[0]
    if gain < _CLEAR:
        return FrameChoice(frame=frames[0], gain=0.0)
    return FrameChoice(frame=frames[best], gain=gain)


def turn(inputs: torch.Tensor, frame: torch.Tensor) -> torch.Tensor:
    """Mix channels by a frame, (N, C, ...) x (C, C) -> (N, C, ...)."""
    return torch.einsum("dc,nc...->nd...", frame, inputs)


class FramedTeacher(nn.Module):
    """A teacher that answers inputs of the target's frame."""

    frame: torch.Tensor

    def __init__(self, teacher: nn.Module, frame: Frame) -> None:
        """Put a frame before a teacher."""
        super().__init__()
        self.teacher = teacher
        self.register_buffer("frame", torch.tensor(frame))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, *shape) -> logits (N, classes)."""
        logits: torch.Tensor = self.teacher(turn(x, self.frame))
        return logits
