"""Drift: what a device's sensor does to its signal, from the first day on and always alike.

A watch sits turned on the wrist, or is worn on the other side; its wearer moves faster or slower
than others. Both are drawn once for each device and hold for its whole stream.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.tasks import Examples
from nestling_sim.errors import SimError


class DriftError(SimError):
    """A drift that a task's inputs cannot have."""


@dataclass(frozen=True, kw_only=True)
class Drift:
    """One device's drift.

    Attributes:
        turn: rotation of every triple of channels, (3, 3).
        speed: windows are played this much faster.
    """

    turn: NDArray[np.float64]
    speed: float


def draw(rotation_degrees: float, speed: float, rng: np.random.Generator) -> Drift:
    """Draw a device's drift.

    Args:
        rotation_degrees: by which the sensor is turned about a random axis.
        speed: largest part by which it is faster or slower.
        rng: where it comes from.
    """
    axis = rng.normal(size=3)
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = math.radians(rotation_degrees)
    turn = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * (cross @ cross)
    return Drift(turn=turn, speed=1 + speed * rng.uniform(-1, 1))


def drifted(examples: Examples, drift: Drift) -> Examples:
    """Show examples as a device's sensor sees them.

    Raises:
        DriftError: a rotation of channels that are no triples, or a speed of inputs that have not
            one axis of time.
    """
    inputs = examples.inputs
    if not np.array_equal(drift.turn, np.eye(3)):
        inputs = _turned(inputs, drift.turn)
    if drift.speed != 1:
        inputs = _played(inputs, drift.speed)
    return Examples(inputs=np.ascontiguousarray(inputs, np.float32), labels=examples.labels)


def _turned(inputs: NDArray[np.float32], turn: NDArray[np.float64]) -> NDArray[np.float32]:
    count, channels, *axes = inputs.shape
    if channels % 3:
        raise DriftError(f"{channels} channels are no triples to rotate; set rotation_degrees to 0")
    triples = inputs.reshape(count, channels // 3, 3, -1)
    turned: NDArray[np.float64] = np.einsum("ij,ngjt->ngit", turn, triples)
    return turned.reshape(count, channels, *axes).astype(np.float32)


def _played(inputs: NDArray[np.float32], speed: float) -> NDArray[np.float32]:
    """Sample windows about their middle, mirrored where they run out."""
    if inputs.ndim != 3:
        raise DriftError(f"inputs {list(inputs.shape[1:])} have no axis of time; set speed to 0")
    last = inputs.shape[-1] - 1
    position = last / 2 + (np.arange(last + 1) - last / 2) * speed
    position = last - np.abs(last - np.abs(position))  # reflect at both ends
    low = np.clip(np.floor(position).astype(int), 0, last - 1)
    part = (position - low).astype(np.float32)
    played: NDArray[np.float32] = inputs[..., low] * (1 - part) + inputs[..., low + 1] * part
    return played
