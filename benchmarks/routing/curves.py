"""Fits routers on calibration inputs, and computes their accuracy at each offload share."""

from collections.abc import Container, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.routing.seed_models import SeedModels
from nestling_cloud.learning.routing import (
    Design,
    Estimator,
    RoutingData,
    at_once,
    beliefs,
    choose_design,
    fit_multiplexer,
    gains,
    share_out,
)
from nestling_cloud.learning.routing.data import Bools, Floats
from nestling_cloud.learning.routing.rivals import RIVALS, Resources, Trial
from nestling_cloud.progress import SilentProgress

SHARES = np.arange(0, 0.5001, 0.01)
OURS = "Nestling"
# Training targets of the multiplexer other than the mean of both.
_TARGETS = {
    f"{OURS}, labels alone": Design(label_part=1.0),
    f"{OURS}, teacher alone": Design(label_part=0.0),
}
RESAMPLES = 200

Doubles = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class FittedRouters:
    """Our router and its rivals, fitted on one random part of the calibration inputs.

    Attributes:
        models: the models that the routers decide between.
        multiplexer: our router.
        fitted: the inputs that all routers were fitted on.
        held_out: the calibration inputs that no router was fitted on.
        predictions: a mapping from "fitted", "held_out" and "test" to the success probabilities
            that our multiplexer predicts for these inputs after each capacity has run,
            (K, N, K + 1).
        urgencies: a mapping from the name of a router to its scores of the test inputs, as one
            array (N,) for each capacity, smallest first. The router sends the inputs with the
            highest scores to the cloud.
    """

    models: SeedModels
    multiplexer: Estimator
    fitted: RoutingData
    held_out: RoutingData
    predictions: Mapping[str, Floats]
    urgencies: Mapping[str, list[Doubles]]


def fit_routers(models: SeedModels, draw: int) -> FittedRouters:
    """Fit all routers on one random part of the calibration inputs, and return them.

    Args:
        models: the models of the task and seed.
        draw: the number of the random split of the calibration inputs. It is also the seed of the
            fits.
    """
    rng, test = np.random.default_rng([models.seed, draw]), models.test
    fitted, held_out = share_out(models.draw_calibration(rng))
    design = choose_design(fitted, seed=draw, progress=SilentProgress())
    multiplexer = fit_design(fitted, design, draw)
    predictions = {
        "fitted": beliefs(multiplexer, fitted),
        "held_out": beliefs(multiplexer, held_out),
        "test": beliefs(multiplexer, test),
    }
    return FittedRouters(
        models=models,
        multiplexer=multiplexer,
        fitted=fitted,
        held_out=held_out,
        predictions=predictions,
        urgencies={
            OURS: our_urgencies(predictions["test"]),
            f"{OURS}, by the smallest alone": _smallest_urgencies(predictions["test"]),
            **{
                name: our_urgencies(beliefs(fit_design(fitted, targets, draw), test))
                for name, targets in _TARGETS.items()
            },
            **rival_urgencies({rival.name for rival in RIVALS}, fitted, test, draw, rng),
        },
    )


def fit_design(fitted: RoutingData, design: Design, seed: int) -> Estimator:
    """Return a multiplexer of the given design, fitted on the given inputs.

    Args:
        fitted: the inputs to fit on.
        design: the multiplexer's inputs and training targets.
        seed: the seed of the fit.
    """
    return fit_multiplexer(fitted, seed=seed, progress=SilentProgress(), design=design)


def our_urgencies(predictions: Floats) -> list[Doubles]:
    """Return our router's scores of the inputs, (N,), for each capacity, smallest first.

    The score is the success probability of the cloud minus that of the capacity, both as predicted
    after the capacity has run.

    Args:
        predictions: the predicted success probabilities, (K, N, K + 1).
    """
    capacities = range(1, len(predictions) + 1)
    return [gains(at_once(k), predictions).accept.astype(np.float64) for k in capacities]


def _smallest_urgencies(predictions: Floats) -> list[Doubles]:
    """Return our router's scores if only the smallest capacity runs before the decision.

    There is one array (N,) for each capacity, smallest first. The score is the success probability
    of the cloud minus that of the capacity, both as predicted after the smallest capacity has run.

    Args:
        predictions: the predicted success probabilities, (K, N, K + 1).
    """
    first = predictions[0].astype(np.float64)
    return [first[:, -1] - first[:, index] for index in range(len(predictions))]


def rival_urgencies(
    names: Container[str],
    fitted: RoutingData,
    test: RoutingData,
    seed: int,
    rng: np.random.Generator | None = None,
) -> dict[str, list[Doubles]]:
    """Fit rivals for each capacity, and return their scores of the test inputs.

    Args:
        names: the names of the rivals.
        fitted: the inputs to fit on.
        test: the test inputs.
        seed: the seed of the fit.
        rng: the generator of the device's random resources, or None if rivals see no resources.

    Returns:
        A mapping from the name of the rival to its scores, as one array (N,) for each capacity,
        smallest first. The rival sends the inputs with the highest scores to the cloud.
    """
    return {
        rival.name: [
            rival.fit(_trial(fitted, index), seed)(_trial(test, index, rng))
            for index in range(test.capacities)
        ]
        for rival in RIVALS
        if rival.name in names
    }


def _trial(data: RoutingData, index: int, rng: np.random.Generator | None = None) -> Trial:
    """Return the routing data of one capacity, in the form that rivals expect.

    Args:
        data: the routing data of all capacities.
        index: the capacity, from 0.
        rng: the generator of the device's random resources, or None if rivals see no resources.
    """
    return Trial(
        logits=data.logits[index],
        device=data.right[:, index],
        cloud=data.right[:, -1],
        cloud_logits=data.cloud,
        labels=data.labels,
        resources=None if rng is None else _resources(len(data), rng),
    )


def _resources(count: int, rng: np.random.Generator) -> Resources:
    """Return random states of the device, which are independent of the inputs."""
    return Resources(
        celsius=rng.uniform(40, 80, count),
        battery=rng.uniform(5, 100, count),
        processor=rng.uniform(10, 90, count),
        memory=rng.uniform(20, 90, count),
    )


def accuracies(
    urgency: Doubles,
    device: Bools,
    cloud: Bools,
    shares: Doubles = SHARES,
    weights: Doubles | None = None,
) -> Doubles:
    """Return the accuracy at each offload share, %.

    The inputs with the highest scores are sent to the cloud.

    Args:
        urgency: the router's scores of the inputs, (N,).
        device: whether the device is right, (N,).
        cloud: whether the cloud is right, (N,).
        shares: the shares of the inputs that are sent to the cloud, from 0 to 1.
        weights: how often each input counts, (N,), or None if every input counts once.
    """
    order = np.argsort(-urgency, kind="stable")
    counts = np.ones(len(urgency)) if weights is None else weights[order]
    gained = np.cumsum(counts * (cloud[order].astype(np.float64) - device[order]))
    sent = np.cumsum(counts)
    places = np.searchsorted(sent, shares * sent[-1] + 1e-9, side="right")
    alone = float((counts * device[order]).sum())
    accuracy: Doubles = 100 * (alone + np.concatenate([[0.0], gained])[places]) / sent[-1]
    return accuracy


def accuracies_by_capacity(models_right: Bools, urgencies: list[Doubles]) -> list[Doubles]:
    """Return the accuracies at `SHARES`, %, for each capacity, smallest first.

    Args:
        models_right: whether each capacity, then the cloud, is right, (N, K + 1).
        urgencies: a router's scores of the inputs, (N,), for each capacity.
    """
    return [
        accuracies(urgency, models_right[:, index], models_right[:, -1])
        for index, urgency in enumerate(urgencies)
    ]


def area_differences(routers: FittedRouters, rival: str, index: int) -> Doubles:
    """Return the differences between the area of our router and that of a rival, (RESAMPLES,).

    The area is the mean accuracy over `SHARES`, in %. There is one difference for each random
    resample of the test inputs (bootstrap). The resamples are the same for every rival. If
    neighboring inputs are alike, blocks of 50 consecutive inputs are resampled.

    Args:
        routers: the fitted routers, which include ours and the rival.
        rival: the name of the rival.
        index: the capacity, from 0.
    """
    models, right = routers.models, routers.models.test.right
    rng = np.random.default_rng(models.seed)  # the same inputs for every rival and draw
    differences = []
    for _ in range(RESAMPLES):
        weights = _weights(models, rng)
        ours, theirs = (
            accuracies(urgency, right[:, index], right[:, -1], weights=weights).mean()
            for urgency in (routers.urgencies[OURS][index], routers.urgencies[rival][index])
        )
        differences.append(ours - theirs)
    return np.array(differences)


def _weights(models: SeedModels, rng: np.random.Generator) -> Doubles:
    count = len(models.test)
    block = 50 if models.has_people else 1
    blocks = -(-count // block)
    times = np.bincount(rng.integers(blocks, size=blocks), minlength=blocks)
    return np.repeat(times, block)[:count].astype(np.float64)
