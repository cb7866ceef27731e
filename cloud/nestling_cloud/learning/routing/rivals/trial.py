"""Defines the inputs and outputs of routers from the literature (rivals)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.learning.routing.data import Bools, Floats

Doubles = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Resources:
    """The state of a device at each input.

    Attributes:
        celsius: the temperature of the processor in degrees Celsius, (N,).
        battery: the remaining charge of the battery in percent, (N,).
        processor: the load of the processor in percent, (N,).
        memory: the share of the memory that is in use, in percent, (N,).
    """

    celsius: Doubles
    battery: Doubles
    processor: Doubles
    memory: Doubles


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Inputs that one capacity has answered.

    Attributes:
        logits: the capacity's logits, (N, classes).
        device: for each input, whether the capacity is right, (N,). A router may use this for
            fitting, but only the oracle may use it to rank.
        cloud: for each input, whether the cloud is right, (N,). A router may use this for fitting,
            but only the oracle may use it to rank.
        cloud_logits: the teacher's logits, (N, classes), which are for fitting only.
        labels: the true class index of each input, (N,), which is for fitting only.
        resources: the state of the device at each input; None if it is not known.
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
"""A function that returns how urgently each input should go to the cloud, (N,).

Inputs with the highest values go first.
"""


@dataclass(frozen=True, kw_only=True)
class Rival:
    """A router from the literature.

    Attributes:
        name: the name of the router in tables.
        source: the publication or project that defines the router.
        fit: the function `(trial, seed) -> urgency`, which fits the router on the inputs of the
            trial. Neither teacher nor student trained on them. Many routers have nothing to fit.
    """

    name: str
    source: str
    fit: Callable[[Trial, int], Urgency]


def without_fitting(urgency: Urgency) -> Callable[[Trial, int], Urgency]:
    """Return a `Rival.fit` function for a rule that has nothing to fit."""

    def fit(_: Trial, __: int) -> Urgency:
        return urgency

    return fit
