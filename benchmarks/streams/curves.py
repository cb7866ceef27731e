"""Computes the accuracy of routers on the test streams as a function of the offload share.

At each share, every router uses the threshold that sends exactly that share of the test inputs.
"""

from collections.abc import Sequence

import numpy as np

from benchmarks.routing.curves import accuracies, our_urgencies, rival_urgencies
from benchmarks.streams.fitted import FittedRouter
from nestling.v1.bundle_pb2 import StreamFilter
from nestling_cloud.learning.routing import CascadeRule, at_once
from nestling_cloud.learning.routing.routed_streams import RoutedStreams
from nestling_cloud.learning.routing.stream_replay import Doubles, Thresholds, replay
from nestling_cloud.tasks import Examples
from nestling_sim.figures.cloud_alone import cloud_filter, filtered_answers

SHARES = np.concatenate([np.arange(0, 0.2, 0.005), np.arange(0.2, 0.51, 0.025), [1.0]])
"""The offload shares of a curve."""
OURS = "Nestling"
RIVALS = ("max-softmax", "margin")
FILTERED = ", behind the filter"
CLOUD_FILTERED = "cloud alone, behind a filter"
# In a replay without a larger capacity, the gate is not used.
_NO_GATE = 2.0


def curves_from(
    router: FittedRouter, cascade: CascadeRule, filtered: StreamFilter | None
) -> dict[str, list[float]]:
    """Return the accuracies at `SHARES`, %, of our router and of its rivals.

    Rivals are evaluated without a filter and, if the router has one, behind it. The cloud alone,
    behind a filter of its own, has the same accuracy at every share.

    Args:
        router: the fitted router.
        cascade: the capacity that runs.
        filtered: the router's stream filter, or None.
    """
    index, right = cascade.top - 1, router.test.right
    device, cloud = right[:, index], right[:, -1]
    scores = {
        name: by_capacity[index]
        for name, by_capacity in rival_urgencies(RIVALS, router.fitted, router.test, 0).items()
    }
    found = {OURS: ours_from(router, cascade, filtered)}
    for name, score in scores.items():
        found[name] = accuracies(score, device, cloud, SHARES).tolist()
        if filtered is not None:
            found[name + FILTERED] = _behind_filter(router, index + 1, filtered, score)
    found[CLOUD_FILTERED] = [_cloud_behind_filter(router)] * len(SHARES)
    return found


def ours_from(
    router: FittedRouter,
    cascade: CascadeRule,
    filtered: StreamFilter | None,
    shares: Doubles = SHARES,
) -> list[float]:
    """Return the accuracy of our router at each offload share, %.

    Args:
        router: the fitted router.
        cascade: the capacities that run; only one if there is no filter.
        filtered: the router's stream filter, or None.
        shares: the offload shares.
    """
    if filtered is None:
        return without_filter(router, cascade.top, shares)
    by_deal = []
    for streams in router.streams:
        routed = RoutedStreams(
            parameters=filtered, streams=streams, data=router.test, cascade=cascade
        )
        _, result = routed.at_shares(shares.tolist())
        by_deal.append(result.accuracies(router.test.labels))
    return _mean(by_deal)


def without_filter(router: FittedRouter, capacity: int, shares: Doubles = SHARES) -> list[float]:
    """Return our accuracy at each offload share, %, if every input is judged by itself.

    Args:
        router: the fitted router.
        capacity: the capacity that runs, from 1.
        shares: the offload shares.
    """
    right, score = router.test.right, our_urgencies(router.predicted)[capacity - 1]
    curve = accuracies(score, right[:, capacity - 1], right[:, -1], shares)
    return [float(one) for one in curve]


def _behind_filter(
    router: FittedRouter, capacity: int, filtered: StreamFilter, score: Doubles
) -> list[float]:
    """Return the accuracies of another router whose answers go through the same filter, %.

    Args:
        router: the fitted router, of which only the streams are used.
        capacity: the capacity that runs, from 1.
        filtered: the stream filter.
        score: the other router's scores of the test inputs, (N,).
    """
    ranked = np.concatenate([[np.inf], np.sort(score)[::-1], [-np.inf]])
    accept = ranked[np.floor(SHARES * len(score) + 1e-9).astype(np.intp) + 1]
    accept = np.where(SHARES <= 0, np.inf, accept)
    thresholds = Thresholds(gate=np.full(len(SHARES), _NO_GATE), accept=accept)
    results = [
        replay(filtered, streams, at_once(capacity), thresholds, score)
        for streams in router.streams
    ]
    return _mean([result.accuracies(router.test.labels) for result in results])


def _cloud_behind_filter(router: FittedRouter) -> float:
    """Return the accuracy of the cloud alone behind a filter of its own, %.

    The filter is fitted on the cloud's outputs for all calibration inputs.
    """
    known, test = router.calibration, router.test
    examples = Examples(inputs=known.inputs, labels=known.labels, lengths=known.lengths)
    filtered = cloud_filter(examples, known.cloud)
    if filtered is None:
        return float(100 * test.right[:, -1].mean())
    accuracies = [
        (filtered_answers(filtered, streams.places, test.cloud) == test.labels).mean()
        for streams in router.streams
    ]
    return float(100 * np.mean(accuracies))


def _mean(by_deal: Sequence[Doubles]) -> list[float]:
    """Return the means over the random deals of recordings, %."""
    return [float(100 * one) for one in np.mean(by_deal, axis=0)]


def at_share(curve: list[float], share: float) -> float:
    """Return the accuracy at one of `SHARES`, %.

    Args:
        curve: the accuracies at `SHARES`, %.
        share: the offload share.
    """
    return curve[int(np.abs(SHARES - share).argmin())]


def passing_share(curve: list[float], accuracy: float) -> float:
    """Return the smallest of `SHARES` at which a curve is above an accuracy, or 1 if none is.

    Args:
        curve: the accuracies at `SHARES`, %.
        accuracy: the accuracy to pass, %.
    """
    above = np.flatnonzero(np.array(curve) > accuracy)
    return float(SHARES[above[0]]) if len(above) else 1.0
