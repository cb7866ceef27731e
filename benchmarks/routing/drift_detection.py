"""Whether the device's own detector notices that inputs have become harder."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.routing.curves import Split
from benchmarks.routing.drift import hard_inputs
from benchmarks.routing.seed_models import SeedModels
from nestling.v1.bundle_pb2 import RoutingCurve
from nestling_cloud.learning.routing import CascadeRule
from nestling_device.inference.drift import DriftDetector, rank_of

# Hard inputs that the detector is shown.
STRETCH = 2000


@dataclass(frozen=True, kw_only=True)
class DriftDetection:
    """One capacity's inputs, in the order of a stream.

    Attributes:
        usual: share of test inputs during which drift is said, %; pictures in random order, people
            one after the other.
        alarms: times that it is said again among them.
        after: number of hard inputs until it is said, the median of many draws; none where the
            inputs come person after person.
    """

    usual: float
    alarms: int
    after: float | None


def noticed(
    world: SeedModels, split: Split, cascade: CascadeRule, curve: RoutingCurve
) -> DriftDetection:
    """Let the detector see the test inputs, and then hard ones.

    Args:
        world: models and inputs.
        split: whose multiplexer it is.
        cascade: how a capacity is reached.
        curve: with what was believed of the calibration inputs on that way.
    """
    index = cascade.top - 1
    believed = split.believed["test"][cascade.start - 1, :, index]
    ranks = np.array([rank_of(float(right), curve.believed) for right in believed])
    rng = np.random.default_rng(world.seed)
    order = np.arange(len(ranks)) if world.has_people else rng.permutation(len(ranks))
    usual = _said(ranks[order])
    return DriftDetection(
        usual=float(100 * usual.mean()),
        alarms=int((usual[1:] & ~usual[:-1]).sum() + usual[0]),
        after=None if world.has_people else _delay(ranks[hard_inputs(world, index)], rng),
    )


def _delay(ranks: NDArray[np.float64], rng: np.random.Generator) -> float:
    """Median number of inputs until the alarm; infinite where it does not come."""
    found = []
    for _ in range(20):
        said = _said(rng.choice(ranks, STRETCH))
        found.append(float(said.argmax() + 1) if said.any() else np.inf)
    return float(np.median(found))


def _said(ranks: NDArray[np.float64]) -> NDArray[np.bool_]:
    drift, said = DriftDetector(), []
    for rank in ranks:
        drift = drift.after_input(float(rank))
        said.append(drift.noticed)
    return np.array(said)
