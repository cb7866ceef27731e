"""Fits the filter that carries a device's belief from one input of a stream to the next.

The filter is fitted by replaying calibration recordings: the parameters are those with which
devices answer best at small offload shares. Accuracies of a few recordings are noisy. The
parameters are therefore averaged over all that are about as good as the best.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nestling.v1.bundle_pb2 import StreamFilter
from nestling_cloud.learning.routing.cascade import CascadeRule
from nestling_cloud.learning.routing.data import Floats, RoutingData
from nestling_cloud.learning.routing.stream_replay import (
    Doubles,
    Streams,
    Thresholds,
    deal_to_streams,
    replay,
    streams_of,
)
from nestling_core.kinds.labels import SingleLabel

# In a cascade, how much larger the cloud's gain has to be for an input to be sent before the larger
# capacity runs: the prediction is less certain at that time.
GATE_MARGIN = 0.1
# Above every gain.
_NO_GATE = 2.0
# Offload shares at which the parameters are compared.
_SHARES = (0.03, 0.06, 0.1, 0.15, 0.2)
_GAINS = np.array([-0.2, -0.07, 0.0, 0.05, 0.1, 0.2, 0.3, 0.45, 0.65])
# Part of the cloud's probabilities that is not trusted; the results hardly depend on it.
_DOUBT = 0.05


class _Filters(NamedTuple):
    """Many sets of parameters of the filter."""

    stay: Doubles
    reread: Doubles
    misread: Doubles
    weight: Doubles
    doubt: Doubles


_GRID = _Filters(
    *np.array(
        list(
            itertools.product(
                (0.8, 0.9, 0.97), (0.02, 0.1, 0.3), (0.05, 0.15, 0.3), (0.4, 0.8), (_DOUBT,)
            )
        )
    ).T
)
MOST_CLASSES = 32
"""The most classes with which a filter is fitted: its state has the square of their number."""
# Accuracy that two sets of parameters may differ by and still count as about equally good.
_NOISE = 0.004
# Random orders in which the recordings are dealt to streams.
_DEALS = 2
# Excess of pairs of neighbors with equal labels, in standard errors, from which a set of recordings
# counts as streams.
_STANDARD_ERRORS = 3.0


def fit_filter(
    data: RoutingData,
    believed: Floats,
    cascade: CascadeRule,
    shares: Sequence[float] = _SHARES,
) -> StreamFilter | None:
    """Return the parameters of the stream filter for a cascade, or None for no filter.

    The result is None if the inputs are not streams (see `is_stream`), if there are more than 32
    classes, or if the kind of the task is not single-label.

    Args:
        data: the outputs of every option for the inputs of recordings.
        believed: the predicted success probabilities, (K, N, K + 1), as returned by `beliefs`.
        cascade: the capacities that run.
        shares: the offload shares at which the parameters are compared.
    """
    single = isinstance(data.kind, SingleLabel)
    if not single or data.cloud.shape[1] > MOST_CLASSES or not is_stream(data):
        return None
    deals = [streams_of(data, believed, seed) for seed in range(_DEALS)]
    accuracies = np.mean([_accuracies(data, one, cascade, shares) for one in deals], axis=0)
    likely = np.exp((accuracies - accuracies.max()) / _NOISE)
    likely /= likely.sum()
    return StreamFilter(
        stay=1 - float(np.exp(likely @ np.log(1 - _GRID.stay))),
        reread=float(likely @ _GRID.reread),
        misread=float(likely @ _GRID.misread),
        weight=float(np.exp(likely @ np.log(_GRID.weight))),
        doubt=_DOUBT,
    )


def is_stream(data: RoutingData) -> bool:
    """Return whether the inputs are recordings in which a belief about the class is worth carrying.

    This is the case if neighbors have the same class more often than by chance. Recordings are put
    one after another for this, as a device meets them.

    Args:
        data: the inputs with their labels.
    """
    if not data.lengths:
        return False
    places = deal_to_streams(data.lengths, 0)
    before, after = places[:, :-1].ravel(), places[:, 1:].ravel()
    inside = after >= 0
    before, after = data.labels[before[inside]], data.labels[after[inside]]
    if not len(after):
        return False
    frequencies = np.bincount(data.labels) / len(data)
    chance = float((frequencies**2).sum())
    error = float(np.sqrt(chance * (1 - chance) / len(after)))
    return bool((before == after).mean() > chance + _STANDARD_ERRORS * error)


def gate_thresholds(accept: Doubles) -> Thresholds:
    """Return accept thresholds, (R,), together with higher gate thresholds.

    Where the accept threshold sends every input, the gate threshold equals it.
    """
    return Thresholds(gate=np.where(accept < -1, accept, accept + GATE_MARGIN), accept=accept)


def ungated(accept: Doubles) -> Thresholds:
    """Return accept thresholds, (R,), with gate thresholds that no input exceeds."""
    return Thresholds(gate=np.full_like(accept, _NO_GATE), accept=accept)


def _accuracies(
    data: RoutingData, streams: Streams, cascade: CascadeRule, targets: Sequence[float]
) -> Doubles:
    """Return the accuracy with each set of parameters, averaged over the target shares, (P,)."""
    tried = _GAINS if max(targets) > 0 else _GAINS[-1:]
    sets, gains = len(_GRID.stay), len(tried)
    every = _Filters(*(np.repeat(column, gains)[:, None, None, None] for column in _GRID))
    result = replay(every, streams, cascade, gate_thresholds(np.tile(tried, sets)))
    return np.array(
        [
            np.interp(targets, shares[::-1], accuracies[::-1]).mean()
            for shares, accuracies in zip(
                result.shares().reshape(sets, gains),
                result.accuracies(data.labels).reshape(sets, gains),
                strict=True,
            )
        ]
    )
