"""Chooses the estimator of success: a plain rule, or a network that proves better.

A plain rule ranks inputs by the confidence of the capacity that ran. It needs hardly any data. A
network can learn more, for example where the cloud is good at only some classes, or where the
labels of some classes are noisy (Jitkrittum et al. 2023, arXiv 2307.02764). However, if the data
comes from few people, a network overfits. It is therefore chosen only if it proves better on inputs
that it was not fitted on.
"""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from nestling.v1.bundle_pb2 import StreamFilter
from nestling_cloud.learning.routing.cascade import at_once
from nestling_cloud.learning.routing.correctness_labels import LABEL_PART
from nestling_cloud.learning.routing.data import (
    FEWEST_STRETCHES,
    FITTED_PART,
    STRETCH,
    Doubles,
    Floats,
    RoutingData,
    standard_error,
    stretch_means,
)
from nestling_cloud.learning.routing.fit_multiplexer import (
    PLAIN,
    RECIPE,
    Design,
    beliefs,
    fit_multiplexer,
)
from nestling_cloud.learning.routing.routed_streams import RoutedStreams
from nestling_cloud.learning.routing.stream_filter import is_stream
from nestling_cloud.learning.routing.stream_replay import streams_of
from nestling_cloud.models.plain_confidence import RULE_OF_KIND
from nestling_cloud.progress import Progress, SilentProgress
from nestling_core.kinds.labels import SingleLabel

PLAIN_DESIGNS = (PLAIN, Design(rule="margin"), Design(rule="scaled softmax"))
NETWORKS = tuple(
    Design(knows_classes=knows, label_part=part)
    for knows in (False, True)
    for part in (LABEL_PART, 1.0)
)
# Offload shares at which designs are compared.
_SHARES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
# Fewer epochs than for the shipped network: they are enough to compare designs.
_RECIPE = dataclasses.replace(RECIPE, epochs=15)
# Standard errors by which another design must be better than the plain rule.
_STANDARD_ERRORS = 1.0
FEWEST_FITTED = STRETCH * FEWEST_STRETCHES
"""The fewest inputs to fit on with which networks are tried."""
USUAL_NETWORK_INPUTS = math.ceil(FEWEST_FITTED / FITTED_PART)
"""The fewest calibration inputs with which networks are usually tried, fitted on or not."""
# The filter with which designs for streams are compared.
_FILTER = StreamFilter(stay=0.9, reread=0.1, misread=0.2, weight=0.6, doubt=0.05)


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """One design's mean accuracy over offload shares, for each stretch of inputs."""

    design: Design
    accuracies: Doubles

    def better_than(self, other: "_Trial", standard_errors: float) -> bool:
        gained = self.accuracies - other.accuracies
        return bool(gained.mean() > standard_errors * standard_error(gained))


def choose_design(data: RoutingData, *, seed: int, progress: Progress) -> Design:
    """Return the design with which devices answer best on inputs that it was not fitted on.

    Each design is fitted on one half of the inputs and evaluated on the other half, and vice versa.
    Its score is the mean accuracy over small and medium offload shares, and over capacities. Scores
    are compared by stretches of at least 50 neighboring inputs, each of which counts as one
    observation. Another design replaces max-softmax only if it is better by more than one standard
    error of the difference. If there are fewer than ten stretches, max-softmax is returned without
    a comparison. Every other kind of task than single-label has only one rule, which is returned
    without a comparison too.

    Args:
        data: the outputs of every option, for inputs in recorded order that neither teacher nor
            student trained on.
        seed: the random seed for the fits.
        progress: the progress display, advanced once per design.
    """
    if not isinstance(data.kind, SingleLabel):
        return Design(rule=RULE_OF_KIND[data.kind.name])
    if len(data) < FEWEST_FITTED:
        return PLAIN
    designs = (*PLAIN_DESIGNS, *NETWORKS)
    trials = [
        _Trial(design=design, accuracies=stretch_means(_accuracies(data, design, seed)))
        for design in progress.track(designs, len(designs), "rule for routing")
    ]
    plain = trials[0]
    better = [trial for trial in trials[1:] if trial.better_than(plain, _STANDARD_ERRORS)]
    return max(better, key=lambda trial: trial.accuracies.mean(), default=plain).design


def _accuracies(data: RoutingData, design: Design, seed: int) -> Doubles:
    """Return each input's mean accuracy over offload shares and capacities, (N,).

    Each half of the inputs is routed by an estimator that was fitted on the other half.
    """
    first, second = data.cut(0.5)
    return np.concatenate(
        [_judged(second, first, design, seed), _judged(first, second, design, seed)]
    )


def _judged(fitted: RoutingData, unseen: RoutingData, design: Design, seed: int) -> Doubles:
    estimator = fit_multiplexer(
        fitted, seed=seed, progress=SilentProgress(), design=design, recipe=_RECIPE
    )
    believed = beliefs(estimator, unseen)
    score = _in_streams if is_stream(unseen) else _by_ranking
    scores = np.array([score(unseen, believed, index) for index in range(unseen.capacities)])
    means: Doubles = scores.mean(axis=0)
    return means


def _in_streams(data: RoutingData, believed: Floats, index: int) -> Doubles:
    routed = RoutedStreams(
        parameters=_FILTER,
        streams=streams_of(data, believed, 0),
        data=data,
        cascade=at_once(index + 1),
    )
    _, result = routed.at_shares(_SHARES)
    accuracies: Doubles = (result.answers == data.labels).mean(axis=0)
    return accuracies


def _by_ranking(data: RoutingData, believed: Floats, index: int) -> Doubles:
    right, after = data.right, believed[index]
    order = np.argsort(after[:, index] - after[:, -1], kind="stable")
    ranks = np.empty(len(order))
    ranks[order] = np.arange(len(order))
    sent = np.mean([ranks < share * len(order) for share in _SHARES], axis=0)
    accuracies: Doubles = sent * right[:, -1] + (1 - sent) * right[:, index]
    return accuracies
