"""Defines the data that routers learn from, and splits it for fitting and for thresholds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.tasks.inputs import Inputs, rows_of
from nestling_core.kinds.kind import Answers, Kind
from nestling_core.kinds.labels import SINGLE_LABEL

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Doubles = NDArray[np.float64]

STRETCH = 50
"""The number of neighboring inputs that count as one observation."""
FEWEST_STRETCHES = 10
"""The number of stretches below which every input counts as an observation of its own."""

# Part of the inputs that the multiplexer and the cascades are fitted on; thresholds and guarantees
# come from the rest.
FITTED_PART = 0.6


@dataclass(frozen=True, kw_only=True)
class RoutingData:
    """The outputs of the student and the teacher for inputs that neither trained on.

    Their training data is not suitable, because models are more confident and more accurate on it
    than on new inputs.

    Attributes:
        inputs: the inputs, (N, *shape).
        logits: the outputs of each capacity, as a device computes them, (K, N, O).
        cloud: the teacher's outputs, (N, O).
        labels: the true answers, (N, ...), as in `nestling_core.kinds.kind`.
        lengths: the number of inputs in each recording, in order. It is empty if the inputs are
            independent of one another.
        kind: the kind of the task.
    """

    inputs: Inputs
    logits: Floats
    cloud: Floats
    labels: Answers
    lengths: Sequence[int] = ()
    kind: Kind = SINGLE_LABEL

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def capacities(self) -> int:
        """The number of capacities, K."""
        return len(self.logits)

    @property
    def right(self) -> Bools:
        """Whether each capacity, and the cloud, answers each input correctly, (N, K + 1).

        The cloud is in the last column.
        """
        found = [self.kind.answers(outputs) for outputs in (*self.logits, self.cloud)]
        return np.stack([self.kind.success(answers, self.labels) for answers in found], axis=1)

    @property
    def agrees(self) -> Bools:
        """For each input, whether each capacity gives the cloud's answer, (N, K)."""
        cloud = self.kind.answers(self.cloud)
        found = [self.kind.success(self.kind.answers(outputs), cloud) for outputs in self.logits]
        return np.stack(found, axis=1)

    def cut(self, part: float) -> "tuple[RoutingData, RoutingData]":
        """Cut the inputs in two, in recorded order.

        Neighboring inputs of one recording are very similar. The cut is therefore made between
        recordings, unless there is only one.

        Args:
            part: the share of the inputs that the first piece gets, 0 to 1. If there are several
                recordings, the first piece gets about this share.
        """
        border = round(part * len(self))
        if len(self.lengths) > 1:
            ends = np.cumsum(self.lengths)[:-1]
            border = int(ends[np.abs(ends - border).argmin()])
        return self.between(0, border), self.between(border, len(self))

    def between(self, first: int, last: int) -> "RoutingData":
        """Return the data of inputs `first` to `last` - 1, counted from 0, with their recordings.

        A recording that begins earlier or ends later is shortened.
        """
        ends = np.clip(np.cumsum([0, *self.lengths]), first, last)
        lengths = [length for length in np.diff(ends).tolist() if length]
        return replace(self.part(np.arange(first, last)), lengths=lengths)

    def part(self, chosen: NDArray[np.intp]) -> "RoutingData":
        """Return the data of the inputs with the chosen indices, as independent inputs."""
        return RoutingData(
            inputs=rows_of(self.inputs, chosen),
            logits=self.logits[:, chosen],
            cloud=self.cloud[chosen],
            labels=self.labels[chosen],
            kind=self.kind,
        )


def share_out(data: RoutingData) -> tuple[RoutingData, RoutingData]:
    """Split the inputs into a part for fitting and a part for thresholds and guarantees.

    The first part is the first 60% of the inputs in recorded order, or about 60% if there are
    several recordings, which stay whole. The inputs are not drawn at random, because accuracies and
    guarantees derived from neighbors of the fitted inputs would be too optimistic.

    Returns:
        A pair of the inputs to fit on and the inputs to derive thresholds and guarantees from.
    """
    return data.cut(FITTED_PART)


def stretch_means(values: Doubles) -> Doubles:
    """Return the means of a quantity over stretches of at least 50 neighboring inputs.

    Neighboring inputs are alike, so each stretch counts as one observation. If there are fewer than
    ten stretches, every input counts as an observation, and the values are returned unchanged.

    Args:
        values: the quantity for each input in recorded order, (N,).
    """
    stretches = len(values) // STRETCH
    if stretches < FEWEST_STRETCHES:
        return values
    return np.array([part.mean() for part in np.array_split(values, stretches)])


def standard_error(observations: Doubles) -> float:
    """Return the standard error of the mean of observations, or infinity for a single one."""
    if len(observations) < 2:
        return math.inf
    return float(observations.std(ddof=1) / np.sqrt(len(observations)))
