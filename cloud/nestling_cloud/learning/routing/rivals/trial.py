"""The interface of a rival router: its inputs and its ranking."""

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
        celsius: processor temperature, (N,).
        battery: remaining charge, %, (N,).
        processor: load, %, (N,).
        memory: memory in use, %, (N,).
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
        device: whether the capacity is right, (N,); a router may use it for fitting, but only the
            oracle uses it to rank.
        cloud: whether the cloud is right, (N,); likewise.
        cloud_logits: the teacher's logits, (N, classes); used for fitting only.
        labels: true classes, (N,); used for fitting only.
        resources: state of the device; None where a router cannot know it.
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
"""How urgently each input should go to the cloud, (N,): the highest values go first."""


@dataclass(frozen=True, kw_only=True)
class Rival:
    """A router from the literature.

    Attributes:
        name: name in tables.
        source: publication or project that defines it.
        fit: `(inputs that the models did not train on, seed) -> urgency`; many rivals learn
            nothing.
    """

    name: str
    source: str
    fit: Callable[[Trial, int], Urgency]


def without_fitting(urgency: Urgency) -> Callable[[Trial, int], Urgency]:
    """Wrap a rule that learns nothing as a `Rival.fit` function."""

    def fit(_: Trial, __: int) -> Urgency:
        return urgency

    return fit
