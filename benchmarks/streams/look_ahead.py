"""Measures whether asking the cloud more readily pays off on later inputs."""

from dataclasses import dataclass

import numpy as np

from benchmarks.streams.fitted import FittedRouter
from benchmarks.streams.variants import NEVER, Rules, replay_at_share
from nestling.v1.bundle_pb2 import StreamFilter
from nestling_cloud.learning.routing.data import RoutingData
from nestling_cloud.learning.routing.stream_replay import Doubles, Streams, streams_of

_SHARE = 0.1
_WEIGHTS = np.array([0.0, 0.1, 0.3, 1.0])


@dataclass(frozen=True, kw_only=True)
class LookAhead:
    """The gain from looking ahead on the test streams, with 10 % of the inputs sent.

    Attributes:
        weight: the weight that is best on the fitted inputs.
        gained: the accuracy gained over a weight of 0, in points.
    """

    weight: float
    gained: float


def measure_look_ahead(router: FittedRouter, capacity: int, filtered: StreamFilter) -> LookAhead:
    """Return the gain from looking ahead.

    A router that looks ahead asks the cloud more readily if the class is doubtful before an input
    is seen, because later inputs then profit from the answer. To the predicted gain of asking, it
    adds this doubt times a weight.

    Args:
        router: the fitted router.
        capacity: the capacity that runs, from 1.
        filtered: the router's stream filter.
    """
    known = streams_of(router.fitted, router.known, 0)
    best = int(_accuracies(filtered, known, capacity, router.fitted).argmax())
    tested = np.mean(
        [_accuracies(filtered, one, capacity, router.test) for one in router.streams], axis=0
    )
    return LookAhead(weight=float(_WEIGHTS[best]), gained=float(tested[best] - tested[0]))


def _accuracies(
    filtered: StreamFilter, streams: Streams, capacity: int, data: RoutingData
) -> Doubles:
    rules = Rules(skip=np.full(len(_WEIGHTS), NEVER), look_ahead=_WEIGHTS)
    result = replay_at_share(filtered, streams, capacity, rules, _SHARE)
    accuracies: Doubles = 100 * (result.answers == data.labels).mean(axis=1)
    return accuracies
