"""Measures how many inputs need no run of a capacity, because the belief is certain enough."""

from dataclasses import dataclass

import numpy as np

from benchmarks.streams.fitted import FittedRouter
from benchmarks.streams.variants import NEVER, Rules, VariantReplay, replay_at_share
from nestling.v1.bundle_pb2 import StreamFilter
from nestling_cloud.learning.routing.data import RoutingData
from nestling_cloud.learning.routing.stream_replay import Doubles, Streams, streams_of

_SHARE = 0.1
LOST = 0.2
"""The accuracy that skipping may lose on the fitted inputs, in points."""
# The candidates for the threshold of skipping; the last one never skips.
_THRESHOLDS = np.array([*(1 - np.geomspace(0.5, 0.002, 30)), NEVER])


@dataclass(frozen=True, kw_only=True)
class Skipping:
    """The savings and the cost of skipping runs on the test streams, with 10 % of the inputs sent.

    Attributes:
        threshold: the probability of the best class above which no capacity runs.
        skipped: the share of inputs for which nothing runs, %.
        lost: the accuracy lost against never skipping, in points.
    """

    threshold: float
    skipped: float
    lost: float


def measure_skipping(router: FittedRouter, capacity: int, filtered: StreamFilter) -> Skipping:
    """Return what skipping runs saves and costs.

    The threshold for skipping is the lowest with which at most 0.2 points of accuracy are lost on
    the fitted inputs. Every replay uses the offload threshold that sends 10 % of its inputs.

    Args:
        router: the fitted router.
        capacity: the capacity that runs, from 1.
        filtered: the router's stream filter.
    """
    known = streams_of(router.fitted, router.known, 0)
    result = _replay(filtered, known, capacity, _THRESHOLDS)
    accuracies = _accuracies(result, router.fitted)
    enough = accuracies >= accuracies[-1] - LOST
    threshold = float(_THRESHOLDS[enough][0])
    pair = np.array([threshold, NEVER])
    tested = [_replay(filtered, streams, capacity, pair) for streams in router.streams]
    skipping, running = np.mean([_accuracies(one, router.test) for one in tested], axis=0)
    return Skipping(
        threshold=threshold,
        skipped=float(100 * np.mean([one.skipped[0].mean() for one in tested])),
        lost=float(running - skipping),
    )


def _replay(
    filtered: StreamFilter, streams: Streams, capacity: int, skip: Doubles
) -> VariantReplay:
    rules = Rules(skip=skip, look_ahead=np.zeros(len(skip)))
    return replay_at_share(filtered, streams, capacity, rules, _SHARE)


def _accuracies(result: VariantReplay, data: RoutingData) -> Doubles:
    accuracies: Doubles = 100 * (result.answers == data.labels).mean(axis=1)
    return accuracies
