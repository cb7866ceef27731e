"""What routers learn from, and how it is shared out between them and their thresholds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

# Part of the inputs that the networks are fitted on; thresholds and promises come from the others.
FITTED_PART = 0.6


@dataclass(frozen=True, kw_only=True)
class RoutingData:
    """What every option makes of inputs that neither teacher nor student learned from.

    On their own training data both look surer and better than they are.

    Attributes:
        inputs: (N, *shape).
        logits: of each capacity, as a device computes them, (K, N, classes).
        cloud: the teacher's logits, (N, classes).
        labels: true classes, (N,).
    """

    inputs: Floats
    logits: Floats
    cloud: Floats
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def capacities(self) -> int:
        """K, the number of capacities."""
        return len(self.logits)

    @property
    def right(self) -> Bools:
        """Whether capacity 1 to K and the cloud are right, (N, K + 1)."""
        answers = [*self.logits.argmax(axis=2), self.cloud.argmax(axis=1)]
        return np.stack([answer == self.labels for answer in answers], axis=1)

    @property
    def agrees(self) -> Bools:
        """Whether capacity 1 to K answers as the cloud does, (N, K)."""
        agrees: Bools = self.logits.argmax(axis=2) == self.cloud.argmax(axis=1)
        return agrees.T

    def part(self, chosen: NDArray[np.intp]) -> "RoutingData":
        """The same for some of the inputs."""
        return RoutingData(
            inputs=self.inputs[chosen],
            logits=self.logits[:, chosen],
            cloud=self.cloud[chosen],
            labels=self.labels[chosen],
        )


def share_out(data: RoutingData) -> tuple[RoutingData, RoutingData]:
    """Deal inputs to the networks and to their thresholds.

    Inputs are taken in recorded order, the first part and the rest: neighbouring windows of one
    recording are much alike, and a threshold that is read off the neighbours of what a network was
    fitted on would promise too much.

    Returns:
        What the networks are fitted on, and what thresholds and promises are read off.
    """
    border = round(FITTED_PART * len(data))
    return data.part(np.arange(border)), data.part(np.arange(border, len(data)))
