"""Where a student's confidence misleads: a cloud that knows some classes, labels that are noise.

Both after Jitkrittum et al. 2023 (arXiv 2307.02764), on the same models: what the cloud says, or
what the labels are, is changed alike for the inputs that routers are fitted on and for the test
inputs.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.routing.curves import OURS, accuracies, area, trial_of
from benchmarks.routing.seed_models import SeedModels, drawn_order
from nestling_cloud.learning.routing import (
    Design,
    RoutingData,
    at_once,
    beliefs,
    choose_design,
    fit_multiplexer,
    gains,
    share_out,
)
from nestling_cloud.learning.routing.rivals import RIVALS
from nestling_cloud.progress import Silent

# Rivals that have something to go by.
_COMPARED = ("max-softmax", "margin", "entropy", "scaled softmax", "deferral MLP", "AppealNet head")
BY_DEFAULT = f"{OURS}, as by default"
# Part of the labels of the first half of the classes that are drawn at random.
_NOISE = 0.5


@dataclass(frozen=True, kw_only=True)
class MisfitDraw:
    """One router's draw under one of the conditions.

    Attributes:
        design: that our multiplexer got.
        areas: mean accuracy over shares of 0 to 50 %, by router, from each capacity.
        device: accuracy of each capacity, %.
        cloud: of the cloud, %.
    """

    design: Design
    areas: Mapping[str, list[float]]
    device: list[float]
    cloud: float


def specialist(data: RoutingData, rng: np.random.Generator) -> RoutingData:
    """A cloud that has never heard of the second half of the classes."""
    del rng
    known = data.cloud.shape[1] // 2
    cloud = data.cloud.copy()
    cloud[:, known:] = cloud.min() - 1
    return dataclasses.replace(data, cloud=cloud)


def noisy(data: RoutingData, rng: np.random.Generator) -> RoutingData:
    """Half of the labels of the first half of the classes say any class."""
    classes = data.cloud.shape[1]
    random = (data.labels < classes // 2) & (rng.random(len(data)) < _NOISE)
    labels = np.where(random, rng.integers(0, classes, len(data)), data.labels)
    return dataclasses.replace(data, labels=labels)


CONDITIONS: Mapping[str, Callable[[RoutingData, np.random.Generator], RoutingData]] = {
    "as it is": lambda data, _: data,
    "a cloud that knows half of the classes": specialist,
    "half of the labels of half of the classes at random": noisy,
}


def odd(world: SeedModels, number: int, condition: str) -> MisfitDraw:
    """Fit routers on one draw of the calibration inputs, judge them on the test inputs.

    Args:
        world: models and inputs.
        number: of the draw.
        condition: one of `CONDITIONS`.
    """
    rng = np.random.default_rng([world.seed, number])
    drawn = world.calibration.part(drawn_order(world, rng))
    change = CONDITIONS[condition]
    fitted, test = change(share_out(drawn)[0], rng), change(world.test, rng)
    design = choose_design(fitted, seed=number, progress=Silent())
    ours = {OURS: design, BY_DEFAULT: Design()}
    urgencies = {}
    for name, one in ours.items():
        believed = beliefs(
            fit_multiplexer(fitted, seed=number, progress=Silent(), design=one), test
        )
        urgencies[name] = [
            gains(at_once(k), believed).accept.astype(np.float64)
            for k in range(1, test.capacities + 1)
        ]
    for rival in RIVALS:
        if rival.name in _COMPARED:
            urgencies[rival.name] = [
                rival.fit(trial_of(fitted, index), number)(trial_of(test, index))
                for index in range(test.capacities)
            ]
    right = test.right
    return MisfitDraw(
        design=design,
        areas={
            name: [
                area(accuracies(urgency, right[:, index], right[:, -1]))
                for index, urgency in enumerate(by_capacity)
            ]
            for name, by_capacity in urgencies.items()
        },
        device=(100 * right[:, :-1].mean(axis=0)).tolist(),
        cloud=float(100 * right[:, -1].mean()),
    )
