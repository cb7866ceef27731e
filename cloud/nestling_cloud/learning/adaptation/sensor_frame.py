"""Finds the frame (orientation of the axes) of the target's sensor without labels.

A sensor on the other wrist, or mounted upside down, records the same movements along other axes.
Only a few frames are possible, and the teacher's answers help to find the right one. In the right
frame, the teacher is confident about each input, and its answers include all classes.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from nestling_cloud.learning.adaptation.losses import information
from nestling_cloud.learning.loop import logits_of
from nestling_cloud.learning.onnx.adopt_onnx import AdoptedModel, with_channels_mixed
from nestling_cloud.learning.onnx.onnx_network import OnnxNetwork
from nestling_cloud.tasks.inputs import Inputs

# A matrix (C, C) that maps a target input to the source's frame.
Frame = tuple[tuple[float, ...], ...]

# Inputs, evenly spaced, that frames are compared on.
_COMPARED_INPUTS = 1024
# Least gain of another frame, nats. A teacher trained on both wrists gets nearly as much
# information in a mirrored frame as in its own.
_LEAST_GAIN = 0.1


def inertial_frames() -> tuple[Frame, ...]:
    """Return the eight frames of an inertial sensor that result from reversing any of its axes.

    The channels are accelerations and angular rates (ax, ay, az, wx, wy, wz). The first frame keeps
    all axes. Three frames rotate the sensor by half a turn, and four mirror it, for example from
    left to right. In the mirrored frames, all angular rates also change sign, because an angular
    rate is an axial vector.
    """
    signs = itertools.product((1.0, -1.0), repeat=3)
    return tuple(_diagonal((x, y, z), x * y * z) for x, y, z in signs)


def _diagonal(signs: tuple[float, float, float], determinant: float) -> Frame:
    diagonal = np.diag([*signs, *(determinant * sign for sign in signs)])
    return tuple(map(tuple, diagonal.tolist()))


@dataclass(frozen=True, kw_only=True)
class FrameChoice:
    """The frame that was chosen for the target's sensor.

    Attributes:
        frame: the chosen frame.
        gain: how much more information about the inputs the teacher's answers carry in the chosen
            frame than in the first frame, in nats; 0 if the first frame is chosen.
    """

    frame: Frame
    gain: float


def choose_frame(teacher: nn.Module, target: Inputs, frames: Sequence[Frame]) -> FrameChoice:
    """Return the frame in which the teacher's answers carry the most information about the inputs.

    The first frame is chosen unless another frame is better by at least 0.1 nats. The choice
    assumes that one of the frames is right, and that the target has roughly the same number of
    examples of each class.

    Args:
        teacher: the teacher trained on the source.
        target: the unlabeled inputs of the target, (N, *shape).
        frames: at least one frame, the most likely first.
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
    """Return inputs with their channels transformed by a frame.

    Args:
        inputs: the inputs, (N, C, ...).
        frame: the matrix that maps the channels of each input, (C, C).
    """
    return torch.einsum("dc,nc...->nd...", frame, inputs)


class FramedTeacher(nn.Module):
    """A teacher that answers inputs in the frame of the target's sensor.

    It maps the inputs to the source's frame and passes them to the teacher that it wraps.
    """

    frame: torch.Tensor

    def __init__(self, teacher: nn.Module, frame: Frame) -> None:
        """Wrap a teacher.

        Args:
            teacher: the teacher, which answers inputs in the source's frame.
            frame: the matrix that maps a target input to the source's frame.
        """
        super().__init__()
        self.teacher = teacher
        self.register_buffer("frame", torch.tensor(frame))

    @property
    def served(self) -> AdoptedModel | None:
        """The form in which the cloud serves a wrapped ONNX teacher; None for a torch network."""
        if not isinstance(self.teacher, OnnxNetwork):
            return None
        return with_channels_mixed(self.teacher.served, self.frame.numpy())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (N, classes) for inputs (N, *shape) in the target's frame."""
        logits: torch.Tensor = self.teacher(turn(x, self.frame))
        return logits
