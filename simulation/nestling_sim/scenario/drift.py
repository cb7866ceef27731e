"""Simulates drift, a constant difference between a device's signal and the training data.

A watch may sit rotated on the wrist, or be worn on the other wrist, and its wearer may move faster
or slower than others. For each device, the axis of the rotation and the speed are chosen at random
once, and apply to the whole stream.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.tasks import Examples
from nestling_sim.errors import SimError


class DriftError(SimError):
    """Raised when a drift cannot be applied to a task's inputs."""


@dataclass(frozen=True, kw_only=True)
class Drift:
    """The drift of one device.

    Attributes:
        turn: the rotation matrix that is applied to every three consecutive channels (the axes of
            one sensor), (3, 3).
        speed: how many times faster the wearer moves than in the recording; below 1, the wearer
            moves slower.
    """

    turn: NDArray[np.float64]
    speed: float


def draw(rotation_degrees: float, speed: float, rng: np.random.Generator) -> Drift:
    """Return a random drift for one device.

    Args:
        rotation_degrees: the angle by which the sensor is rotated about a random axis.
        speed: the largest change in speed, as a fraction; 0.2 stands for factors from 0.8 to 1.2.
        rng: the random number generator.
    """
    axis = rng.normal(size=3)
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = math.radians(rotation_degrees)
    turn = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * (cross @ cross)
    return Drift(turn=turn, speed=1 + speed * rng.uniform(-1, 1))


def drifted(examples: Examples, drift: Drift) -> Examples:
    """Return examples as a device with this drift would record them.

    Args:
        examples: the inputs (N, C, T) with their labels. If the speed is 1, the inputs need no time
            axis.
        drift: the device's drift.

    Raises:
        DriftError: the number of channels is not a multiple of three, or the inputs have no time
            axis that can be resampled.
    """
    inputs = np.asarray(examples.inputs)
    if not np.array_equal(drift.turn, np.eye(3)):
        inputs = _turned(inputs, drift.turn)
    if drift.speed != 1:
        inputs = _played(inputs, drift.speed)
    return Examples(inputs=np.ascontiguousarray(inputs, np.float32), labels=examples.labels)


def _turned(inputs: NDArray[np.float32], turn: NDArray[np.float64]) -> NDArray[np.float32]:
    count, channels, *axes = inputs.shape
    if channels % 3:
        raise DriftError(
            f"{channels} channels do not form triples to rotate; set rotation_degrees to 0"
        )
    triples = inputs.reshape(count, channels // 3, 3, -1)
    turned: NDArray[np.float64] = np.einsum("ij,ngjt->ngit", turn, triples)
    return turned.reshape(count, channels, *axes).astype(np.float32)


def _played(inputs: NDArray[np.float32], speed: float) -> NDArray[np.float32]:
    """Return windows that are resampled in time around their middle, by linear interpolation.

    Beyond both ends, a window is continued by reflection.
    """
    if inputs.ndim != 3:
        raise DriftError(f"inputs {list(inputs.shape[1:])} have no time axis; set speed to 0")
    last = inputs.shape[-1] - 1
    position = last / 2 + (np.arange(last + 1) - last / 2) * speed
    position = last - np.abs(last - np.abs(position))  # reflect at both ends
    low = np.clip(np.floor(position).astype(int), 0, last - 1)
    part = (position - low).astype(np.float32)
    played: NDArray[np.float32] = inputs[..., low] * (1 - part) + inputs[..., low + 1] * part
    return played
