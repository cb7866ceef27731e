"""Finds thresholds that meet target offload shares, and suggests some for tolerated risks."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nestling.v1.bundle_pb2 import Calibration, Cascade, RoutingCurve
from nestling_cloud.learning.routing.cascade import (
    CascadeRule,
    at_once,
    fit_cascade,
    gains,
    of_answering_capacity,
    runs_larger,
)
from nestling_cloud.learning.routing.data import (
    Floats,
    RoutingData,
    standard_error,
    stretch_means,
)
from nestling_cloud.learning.routing.dependence_length import dependence_length
from nestling_cloud.learning.routing.fit_multiplexer import Estimator, beliefs
from nestling_cloud.learning.routing.guarantee_plan import Planned, input_plan, stream_plan
from nestling_cloud.learning.routing.operating_points import routing_curve
from nestling_cloud.learning.routing.routed_streams import RoutedStreams, stream_curve
from nestling_cloud.learning.routing.stream_filter import fit_filter
from nestling_cloud.learning.routing.stream_replay import streams_of

# Inputs with their predicted success probabilities, (K, N, K + 1).
_Predicted = tuple[RoutingData, Floats]

# A device compares its own predictions with these quantiles to detect drift.
_QUANTILES = 33
# Accuracy below the best one, with which an offload share still counts as useful.
_USEFUL = 0.002
# Random order in which recordings are dealt, which the filter was not fitted on.
_DEAL = 2


def calibrate(
    estimator: Estimator, fitted: RoutingData, held_out: RoutingData, macs: Sequence[int]
) -> Calibration:
    """Return a bundle's thresholds for target offload shares and tolerated risks.

    The thresholds for offload shares are derived from the held-out inputs. For tolerated risks,
    these inputs only suggest which thresholds a device should test on its own inputs.

    Args:
        estimator: the fitted estimator that the bundle ships.
        fitted: the inputs that the estimator was fitted on. The cascades (a small capacity runs
            first, and a larger one if needed) and the stream filters are fitted on them too.
        held_out: the inputs that nothing was fitted on.
        macs: the number of multiply-accumulates of each capacity, the smallest capacity first.

    Returns:
        The number of held-out inputs and, for each capacity, a curve for running it directly and
        the cascade that ends in it, with a curve of its own. The cascade is empty if running the
        capacity directly is cheapest. Each curve holds:

        - for each target offload share of a grid, the thresholds and the accuracy with them.
        - the parameters of the stream filter, if `fit_filter` finds any.
        - the largest offload share that pays, if the capacity is more accurate than the cloud.
        - the plan for certifying a tolerated risk, unless there are fewer than 50 held-out inputs.
        - quantiles, over the held-out inputs, of the probability that the capacity (in a cascade,
          the larger one) is right, as predicted after the first run.
    """
    known, unseen = beliefs(estimator, fitted), beliefs(estimator, held_out)
    capacities = range(1, held_out.capacities + 1)
    cascades = [fit_cascade(known, fitted, macs, top) for top in capacities]

    routed = [
        _route(rule, (fitted, known), (held_out, unseen)) for rule in map(at_once, capacities)
    ]
    cascaded = [
        None if rule.start == rule.top else _route(rule, (fitted, known), (held_out, unseen))
        for rule in cascades
    ]
    _add_plans([one for one in (*routed, *cascaded) if one is not None])
    return Calibration(
        curves=[one.curve for one in routed],
        inputs=len(held_out),
        cascades=[
            Cascade() if one is None else _cascade_message(rule, one)
            for rule, one in zip(cascades, cascaded, strict=True)
        ],
    )


@dataclass(frozen=True, kw_only=True)
class _Route:
    """A routing curve for one capacity or cascade.

    Attributes:
        curve: the curve, without a plan.
        larger_share: the share of inputs on which the larger capacity of the cascade runs.
        planned: the plan for certifying a tolerated risk, or None if there are too few inputs.
    """

    curve: RoutingCurve
    larger_share: float
    planned: Planned | None


def _route(cascade: CascadeRule, known: _Predicted, unseen: _Predicted) -> _Route:
    """Return the routing curve of a capacity or cascade.

    Args:
        cascade: the capacities that run.
        known: the inputs that the estimator was fitted on, with its predictions.
        unseen: the inputs that nothing was fitted on, with the predictions for them.
    """
    held_out, believed = unseen
    parameters = fit_filter(*known, cascade)
    if parameters is None:
        device_right = of_answering_capacity(cascade, believed, held_out.right)
        curve = routing_curve(gains(cascade, believed), device_right, held_out.right[:, -1])
        larger_share = float(runs_larger(cascade, believed).mean())
        planned = input_plan(cascade, unseen, known)
    else:
        fitted_streams, streams = (
            RoutedStreams(
                parameters=parameters,
                streams=streams_of(*part, _DEAL),
                data=part[0],
                cascade=cascade,
            )
            for part in (known, unseen)
        )
        curve = stream_curve(streams)
        larger_share = streams.larger_share()
        planned = stream_plan(streams, fitted_streams)
    curve.believed.extend(_quantiles(believed[cascade.start - 1, :, cascade.top - 1]))
    if _is_better_than_cloud(cascade.top, known[0], held_out):
        curve.useful_share = _largest_useful_share(curve)
    return _Route(curve=curve, larger_share=larger_share, planned=planned)


def _add_plans(routes: Sequence[_Route]) -> None:
    """Add to each curve its plan, with the dependence length of all of them."""
    planned = [one.planned for one in routes if one.planned is not None]
    dependence = dependence_length([one.parts for one in planned])
    for route in routes:
        if route.planned is not None:
            route.curve.guarantee.CopyFrom(route.planned.plan)
            route.curve.guarantee.dependence = dependence


def _largest_useful_share(curve: RoutingCurve) -> float:
    """Return the share with the best accuracy, or a larger one that is about as good."""
    accuracies = [point.accuracy for point in curve.points]
    best = int(np.argmax(accuracies))
    useful = itertools.takewhile(
        lambda point: point.accuracy >= accuracies[best] - _USEFUL, curve.points[best:]
    )
    return max(point.offload_share for point in useful)


def _is_better_than_cloud(capacity: int, *parts: RoutingData) -> bool:
    """Return whether a capacity is right more often than the cloud, by two standard errors."""
    right = np.concatenate([part.right for part in parts]).astype(np.float64)
    gained = stretch_means(right[:, capacity - 1] - right[:, -1])
    return bool(gained.mean() > 2 * standard_error(gained))


def _cascade_message(cascade: CascadeRule, route: _Route) -> Cascade:
    return Cascade(
        start=cascade.start,
        threshold=cascade.threshold,
        larger_share=route.larger_share,
        curve=route.curve,
    )


def _quantiles(believed: Floats) -> list[float]:
    found: list[float] = np.quantile(believed, np.linspace(0, 1, _QUANTILES)).tolist()
    return found
