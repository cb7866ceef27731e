"""Collects what a bundle's device and cloud answer, for streams of inputs that nobody fitted on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Calibration, GuaranteePlan, StreamFilter
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.cloud_model.check import run_in_batches
from nestling_cloud.cloud_model.model import CloudModel
from nestling_cloud.learning.routing import RoutingData, at_once, share_out
from nestling_cloud.learning.routing.dependence_length import dependence_length
from nestling_cloud.learning.routing.guarantee_plan import input_plan
from nestling_cloud.tasks import Examples
from nestling_core.belief.evidence import calibrated, softmax
from nestling_core.nest.capacity import CapacityOutput, open_capacity, run_capacity

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

_SEVERITIES = {
    "noise": (0.1, 0.2, 0.4),  # standard deviation, with pixels from 0 to 1
    "blur": (1, 2, 3),  # times that neighboring pixels are averaged
    "brightness": (0.1, 0.25, 0.4),  # added to each pixel
}


@dataclass(frozen=True, kw_only=True)
class Routing:
    """How a device routes inputs under a tolerated risk.

    Attributes:
        plan: the bundle's plan.
        filter: the stream filter, or None.
    """

    plan: GuaranteePlan
    filter: StreamFilter | None


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The outputs of one capacity and of the cloud for a pool of inputs.

    Attributes:
        logits: the logits of the capacity, (N, C).
        right: the estimated probability that the capacity is right, (N,).
        cloud_right: the estimated probability that the cloud is right, (N,).
        cloud: the logits of the cloud, (N, C).
        lengths: the number of inputs in each recording; empty if they are independent.
    """

    logits: Floats
    right: Doubles
    cloud_right: Doubles
    cloud: Floats
    lengths: Sequence[int]

    @property
    def evidence(self) -> Doubles:
        """The class probabilities that the stream filter gets, (N, C)."""
        return calibrated(self.logits, self.right)

    @property
    def probabilities(self) -> Doubles:
        """The class probabilities of the cloud, (N, C)."""
        return softmax(self.cloud)

    @property
    def changed(self) -> NDArray[np.bool_]:
        """Whether the cloud changes the capacity's own answer, (N,)."""
        changed: NDArray[np.bool_] = self.logits.argmax(axis=1) != self.cloud.argmax(axis=1)
        return changed


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle, with everything that its device and its cloud answer to some inputs.

    Attributes:
        repository: the repository of the bundle.
        calibration: the bundle's calibration.
    """

    repository: Repository
    calibration: Calibration

    @classmethod
    def of(cls, repository: Repository) -> "Bundle":
        """Return the latest bundle of a repository."""
        manifest = repository.manifest()
        data = repository.read_whole(manifest.calibration)
        return cls(repository=repository, calibration=Calibration.FromString(data))

    @property
    def capacities(self) -> int:
        """The number of capacities, K."""
        return len(self.calibration.curves)

    def routing(self, capacity: int) -> Routing:
        """Return how a device routes inputs that holds only one capacity, from 1."""
        curve = self.calibration.curves[capacity - 1]
        filtered = curve.filter if curve.HasField("filter") else None
        return Routing(plan=curve.guarantee, filter=filtered)

    def plain_routing(self, capacity: int, calibration: Examples) -> Routing:
        """Return how a device would route inputs if the bundle had no filter.

        Args:
            capacity: the capacity, from 1.
            calibration: the calibration inputs.
        """
        data, believed = self._judge(calibration)
        fitted, held_out = share_out(data)
        border = len(fitted)
        curves = [
            input_plan(
                at_once(one), (held_out, believed[:, border:]), (fitted, believed[:, :border])
            )
            for one in range(1, self.capacities + 1)
        ]
        planned = [one for one in curves if one is not None]
        plan = GuaranteePlan()
        plan.CopyFrom(planned[capacity - 1].plan)
        plan.dependence = dependence_length([one.parts for one in planned])
        return Routing(plan=plan, filter=None)

    def outputs(self, capacity: int, examples: Examples) -> Outputs:
        """Return the outputs of a capacity, from 1, and of the cloud for some examples."""
        found = self._run(capacity, examples)
        return Outputs(
            logits=found.logits,
            right=found.right[:, capacity - 1].astype(np.float64),
            cloud_right=found.right[:, -1].astype(np.float64),
            cloud=self._ask(examples),
            lengths=examples.lengths,
        )

    def _judge(self, examples: Examples) -> tuple[RoutingData, Floats]:
        found = [self._run(capacity, examples) for capacity in range(1, self.capacities + 1)]
        data = RoutingData(
            inputs=examples.inputs,
            logits=np.stack([one.logits for one in found]),
            cloud=self._ask(examples),
            labels=examples.labels,
            lengths=examples.lengths,
        )
        return data, np.stack([one.right for one in found])

    def _run(self, capacity: int, examples: Examples) -> CapacityOutput:
        read = self.repository.read_whole
        session = open_capacity(self.repository.manifest(), capacity, "uint8", read)
        return run_capacity(session, examples.inputs[:])

    def _ask(self, examples: Examples) -> Floats:
        cloud = self.repository.manifest().cloud
        model = CloudModel(cloud.name, self.repository.read_model(cloud))
        return run_in_batches(model, examples.inputs)


def corrupted(pictures: Floats, rng: np.random.Generator) -> Mapping[str, Floats]:
    """Return pictures as they are and with each kind and severity of a corruption.

    Args:
        pictures: the pictures, (N, 1, H, W).
        rng: the generator of the noise.
    """
    low, high = float(pictures.min()), float(pictures.max())
    found = {"clean": pictures}
    for kind, severities in _SEVERITIES.items():
        for severity in severities:
            made = _corrupted(pictures, kind, severity * (high - low), severity, rng)
            found[f"{kind} {severity:g}"] = np.clip(made, low, high).astype(np.float32)
    return found


def _corrupted(
    pictures: Floats, kind: str, change: float, severity: float, rng: np.random.Generator
) -> NDArray[np.floating]:
    if kind == "noise":
        return pictures + rng.normal(0, change, pictures.shape)
    if kind == "blur":
        return _blurred(pictures, int(severity))
    return pictures + change


def _blurred(pictures: Floats, times: int) -> Floats:
    """Average each pixel with its neighbors, several times."""
    made: Floats = pictures
    for _ in range(times):
        padded = np.pad(made, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
        height, width = made.shape[2:]
        shifted = [
            padded[:, :, down : down + height, right : right + width]
            for down in range(3)
            for right in range(3)
        ]
        made = np.stack(shifted).mean(axis=0, dtype=np.float32)
    return made
