"""Accuracy of every router against the share that it sends to the cloud."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
from nestling_cloud.learning.routing.data import Floats
from nestling_cloud.learning.routing.rivals import RIVALS, Resources, Trial
from nestling_cloud.models.multiplexer import Multiplexer
from nestling_cloud.progress import Silent

SHARES = np.arange(0, 0.5001, 0.01)
OURS = "Nestling"
# What a router may be taught: labels alone, or the teacher's belief alone, instead of both.
_TAUGHT = {
    f"{OURS}, labels alone": Design(label_part=1.0),
    f"{OURS}, teacher alone": Design(label_part=0.0),
}
RESAMPLES = 200

Doubles = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Split:
    """One router, and its rivals, fitted on one draw of the calibration inputs.

    Attributes:
        design: of our multiplexer.
        multiplexer: ours.
        fitted: inputs that all were fitted on.
        held_out: calibration inputs that none was fitted on.
        believed: by our multiplexer, of fitted, held out and test inputs.
        urgencies: by the router's name, from each capacity, smallest first: how much each test
            input wants to go to the cloud, (N,).
    """

    design: Design
    multiplexer: Multiplexer
    fitted: RoutingData
    held_out: RoutingData
    believed: Mapping[str, Floats]
    urgencies: Mapping[str, list[Doubles]]


def fit_split(world: SeedModels, number: int) -> Split:
    """Fit everything on one draw."""
    rng = np.random.default_rng([world.seed, number])
    drawn = world.calibration.part(drawn_order(world, rng))
    fitted, held_out = share_out(drawn)
    test = world.test
    design = choose_design(fitted, seed=number, progress=Silent())
    multiplexer = fit_multiplexer(fitted, seed=number, progress=Silent(), design=design)
    tested = beliefs(multiplexer, test)
    urgencies = {OURS: _accepts(tested), f"{OURS}, by the smallest alone": _gates(tested)}
    for name, taught in _TAUGHT.items():
        other = fit_multiplexer(fitted, seed=number, progress=Silent(), design=taught)
        urgencies[name] = _accepts(beliefs(other, test))
    for rival in RIVALS:
        urgencies[rival.name] = [
            rival.fit(trial_of(fitted, index), number)(trial_of(test, index, rng))
            for index in range(test.capacities)
        ]
    return Split(
        design=design,
        multiplexer=multiplexer,
        fitted=fitted,
        held_out=held_out,
        believed={
            "fitted": beliefs(multiplexer, fitted),
            "held_out": beliefs(multiplexer, held_out),
            "test": tested,
        },
        urgencies=urgencies,
    )


def _accepts(believed: Floats) -> list[Doubles]:
    capacities = range(1, len(believed) + 1)
    return [gains(at_once(one), believed).accept.astype(np.float64) for one in capacities]


def _gates(believed: Floats) -> list[Doubles]:
    """What the smallest capacity knows of a larger one that has not run."""
    first = believed[0].astype(np.float64)
    return [first[:, -1] - first[:, index] for index in range(len(believed))]


def trial_of(data: RoutingData, index: int, rng: np.random.Generator | None = None) -> Trial:
    """Routing data as a rival is shown it, for one capacity (from 0)."""
    return Trial(
        logits=data.logits[index],
        device=data.right[:, index],
        cloud=data.right[:, -1],
        cloud_logits=data.cloud,
        labels=data.labels,
        resources=None if rng is None else _resources(len(data), rng),
    )


def _resources(count: int, rng: np.random.Generator) -> Resources:
    """A device's state, drawn at random: it has nothing to do with the inputs."""
    return Resources(
        celsius=rng.uniform(40, 80, count),
        battery=rng.uniform(5, 100, count),
        processor=rng.uniform(10, 90, count),
        memory=rng.uniform(20, 90, count),
    )


def accuracies(
    urgency: Doubles,
    device: NDArray[np.bool_],
    cloud: NDArray[np.bool_],
    shares: Doubles = SHARES,
    weights: Doubles | None = None,
) -> Doubles:
    """Accuracy, %, if the most urgent share of inputs goes to the cloud, for each share.

    Args:
        urgency: (N,).
        device: whether the device is right, (N,).
        cloud: whether the cloud is right, (N,).
        shares: 0 to 1.
        weights: how often each input counts, (N,); once without.
    """
    order = np.argsort(-urgency, kind="stable")
    counted = np.ones(len(urgency)) if weights is None else weights[order]
    gained = np.cumsum(counted * (cloud[order].astype(np.float64) - device[order]))
    sent = np.cumsum(counted)
    places = np.searchsorted(sent, shares * sent[-1] + 1e-9, side="right")
    alone = float((counted * device[order]).sum())
    found: Doubles = 100 * (alone + np.concatenate([[0.0], gained])[places]) / sent[-1]
    return found


def area(accuracy: Doubles) -> float:
    """Mean accuracy over shares of 0 to 50 %."""
    return float(accuracy.mean())


def area_differences(world: SeedModels, split: Split, index: int, name: str) -> Doubles:
    """Our area minus a rival's, over resampled test inputs, (RESAMPLES,).

    Where neighbours are alike, stretches of 50 windows are resampled.
    """
    right = world.test.right
    device, cloud = right[:, index], right[:, -1]
    rng = np.random.default_rng(world.seed)  # the same inputs for every rival and split
    found = []
    for _ in range(RESAMPLES):
        weights = _weights(world, rng)
        ours, theirs = (
            area(accuracies(split.urgencies[one][index], device, cloud, weights=weights))
            for one in (OURS, name)
        )
        found.append(ours - theirs)
    return np.array(found)


def _weights(world: SeedModels, rng: np.random.Generator) -> Doubles:
    count = len(world.test)
    block = 50 if world.has_people else 1
    blocks = -(-count // block)
    times = np.bincount(rng.integers(blocks, size=blocks), minlength=blocks)
    return np.repeat(times, block)[:count].astype(np.float64)
