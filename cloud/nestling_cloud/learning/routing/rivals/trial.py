"""What a router is shown, and what it makes of it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.learning.routing.data import Bools, Floats

Doubles = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Resources:
    """State of a device at each input.

    Attributes:
        celsius: temperature of its processor, (N,).
        battery: charge left, %, (N,).
        processor: load, %, (N,).
        memory: in use, %, (N,).
    """

    celsius: Doubles
    battery: Doubles
    processor: Doubles
    memory: Doubles


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Inputs that one capacity has answered.

    Attributes:
        logits: of that capacity, (N, classes).
        device: whether it is right, (N,); no router but an oracle looks at it where it is judged.
        cloud: whether the cloud is right, (N,); likewise.
        cloud_logits: the teacher's, (N, classes); only looked at where a router is fitted.
        labels: (N,); likewise.
        resources: of the device; None where a router cannot know them.
    """

    logits: Floats
    device: Bools
    cloud: Bools
    cloud_logits: Floats
    labels: NDArray[np.int64]
    resources: Resources | None = None

    def __len__(self) -> int:
        return len(self.labels)


Urgency = Callable[[Trial], Doubles]
"""How much an input wants to go to the cloud, (N,): the most urgent go first."""


@dataclass(frozen=True, kw_only=True)
class Rival:
    """Somebody's router.

    Attributes:
        name: as tables have it.
        source: where its definition comes from.
        fit: `(inputs that the models did not train on, seed) -> urgency`; many learn nothing.
    """

    name: str
    source: str
    fit: Callable[[Trial, int], Urgency]


def unlearned(urgency: Urgency) -> Callable[[Trial, int], Urgency]:
    """Fit what has nothing to learn."""

    def fit(_: Trial, __: int) -> Urgency:
        return urgency

    return fit
