"""Tests routers under conditions in which the student's confidence is misleading.

One condition is a specialist cloud, which knows only half of the classes. The other is noisy
labels. Both follow Jitkrittum et al. 2023 (arXiv 2307.02764).

No model is trained again. Instead, the cloud's logits or the labels are changed, in the same way
for the inputs that routers are fitted on and for the test inputs.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.routing.curves import (
    OURS,
    accuracies_by_capacity,
    fit_design,
    our_urgencies,
    rival_urgencies,
)
from benchmarks.routing.seed_models import SeedModels
from nestling_cloud.learning.routing import Design, RoutingData, beliefs, choose_design, share_out
from nestling_cloud.progress import SilentProgress

# Rivals that look at the student's output.
_COMPARED = ("max-softmax", "margin", "entropy", "scaled softmax", "deferral MLP", "AppealNet head")
DEFAULT_DESIGN = f"{OURS}, default design"
# Share of random labels in the first half of the classes.
_NOISE = 0.5


@dataclass(frozen=True, kw_only=True)
class ConditionResult:
    """The results of routers under one condition.

    The routers are fitted on one random part of the calibration inputs.

    Attributes:
        design: the design that was chosen for our multiplexer.
        areas: a mapping from the name of a router to its areas by capacity, smallest first. An area
            is the mean accuracy over offload shares from 0 to 50 %, in %.
        device: the accuracy of each capacity, smallest first, %.
        cloud: the accuracy of the cloud, %.
    """

    design: Design
    areas: Mapping[str, list[float]]
    device: list[float]
    cloud: float


def _specialist_cloud(data: RoutingData, rng: np.random.Generator) -> RoutingData:
    """Return data in which the cloud never answers with a class from the second half."""
    del rng
    cloud = data.cloud.copy()
    cloud[:, data.cloud.shape[1] // 2 :] = cloud.min() - 1
    return dataclasses.replace(data, cloud=cloud)


def _noisy_labels(data: RoutingData, rng: np.random.Generator) -> RoutingData:
    """Return data in which half of the labels from the first half of the classes are random."""
    classes = data.cloud.shape[1]
    random = (data.labels < classes // 2) & (rng.random(len(data)) < _NOISE)
    labels = np.where(random, rng.integers(0, classes, len(data)), data.labels)
    return dataclasses.replace(data, labels=labels)


CONDITIONS: Mapping[str, Callable[[RoutingData, np.random.Generator], RoutingData]] = {
    "unchanged": lambda data, _: data,
    "a cloud that knows half of the classes": _specialist_cloud,
    "half of the labels of half of the classes at random": _noisy_labels,
}


def run_condition(models: SeedModels, draw: int, condition: str) -> ConditionResult:
    """Fit routers under a condition, and return their results on the test inputs.

    The routers are fitted on one random part of the calibration inputs.

    Args:
        models: the models of the task and seed.
        draw: the number of the random split of the calibration inputs. It is also the seed of the
            fits.
        condition: the name of the condition, a key of `CONDITIONS`.
    """
    rng, change = np.random.default_rng([models.seed, draw]), CONDITIONS[condition]
    fitted = change(share_out(models.draw_calibration(rng))[0], rng)
    test = change(models.test, rng)
    design = choose_design(fitted, seed=draw, progress=SilentProgress())
    urgencies = {
        name: our_urgencies(beliefs(fit_design(fitted, ours, draw), test))
        for name, ours in ((OURS, design), (DEFAULT_DESIGN, Design()))
    }
    urgencies |= rival_urgencies(_COMPARED, fitted, test, draw)
    return ConditionResult(
        design=design,
        areas={
            name: [float(accuracy.mean()) for accuracy in accuracies_by_capacity(test.right, own)]
            for name, own in urgencies.items()
        },
        device=(100 * test.right[:, :-1].mean(axis=0)).tolist(),
        cloud=float(100 * test.right[:, -1].mean()),
    )
