"""Finds the thresholds with which devices meet target offload shares and tolerated risks."""

import itertools
from collections.abc import Sequence

import numpy as np

from nestling.v1.bundle_pb2 import Calibration, Cascade, CertifiedPoint, RoutingCurve
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
from nestling_cloud.learning.routing.fit_multiplexer import Estimator, beliefs
from nestling_cloud.learning.routing.operating_points import routing_curve
from nestling_cloud.learning.routing.risk_guarantee import RISKS, Routed, RoutedInputs, certify
from nestling_cloud.learning.routing.routed_streams import RoutedStreams, stream_curve
from nestling_cloud.learning.routing.stream_filter import fit_filter
from nestling_cloud.learning.routing.stream_replay import streams_of

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

    The thresholds for offload shares are derived from the held-out inputs. The thresholds for
    tolerated risks are proposed on the fitted inputs and tested on the held-out inputs.

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
        - for each tolerated risk that can be certified, the thresholds.
        - quantiles, over the held-out inputs, of the probability that the capacity (in a cascade,
          the larger one) is right, as predicted after the first run.
    """
    known, unseen = beliefs(estimator, fitted), beliefs(estimator, held_out)
    capacities = range(1, held_out.capacities + 1)
    cascades = [fit_cascade(known, fitted, macs, top) for top in capacities]

    def curve(cascade: CascadeRule) -> tuple[RoutingCurve, float]:
        parameters = fit_filter(fitted, known, cascade)
        fitted_routed: Routed
        held_out_routed: Routed
        if parameters is None:
            fitted_routed = route_inputs(cascade, known, fitted)
            held_out_routed = route_inputs(cascade, unseen, held_out)
            device_right = of_answering_capacity(cascade, unseen, held_out.right)
            made = routing_curve(held_out_routed.gains, device_right, held_out.right[:, -1])
            larger_share = float(runs_larger(cascade, unseen).mean())
        else:
            fitted_routed, held_out_routed = (
                RoutedStreams(
                    parameters=parameters,
                    streams=streams_of(part, believed, _DEAL),
                    data=part,
                    cascade=cascade,
                )
                for part, believed in ((fitted, known), (held_out, unseen))
            )
            made = stream_curve(held_out_routed)
            larger_share = held_out_routed.larger_share()
        made.certified.extend(_certified(fitted_routed, held_out_routed))
        made.believed.extend(_quantiles(unseen[cascade.start - 1, :, cascade.top - 1]))
        if _is_better_than_cloud(cascade.top, fitted, held_out):
            made.useful_share = _largest_useful_share(made)
        return made, larger_share

    return Calibration(
        curves=[curve(at_once(capacity))[0] for capacity in capacities],
        inputs=len(held_out),
        cascades=[
            Cascade()
            if cascade.start == cascade.top
            else _cascade_message(cascade, *curve(cascade))
            for cascade in cascades
        ],
    )


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


def route_inputs(cascade: CascadeRule, believed: Floats, data: RoutingData) -> RoutedInputs:
    """Return the cloud's predicted gains over a cascade, and which answers agree with the cloud's.

    Args:
        cascade: the capacities of the cascade and the threshold between them.
        believed: the predicted success probabilities of the inputs, (K, N, K + 1), as returned by
            `beliefs`.
        data: the outputs of every option for the same inputs.

    Returns:
        The predicted gains in success probability of the cloud over the device, and for each input,
        whether the capacity that answers it on the device gives the cloud's answer.
    """
    return RoutedInputs(
        gains=gains(cascade, believed),
        agrees=of_answering_capacity(cascade, believed, data.agrees),
    )


def _cascade_message(cascade: CascadeRule, curve: RoutingCurve, larger_share: float) -> Cascade:
    return Cascade(
        start=cascade.start,
        threshold=cascade.threshold,
        larger_share=larger_share,
        curve=curve,
    )


def _quantiles(believed: Floats) -> list[float]:
    found: list[float] = np.quantile(believed, np.linspace(0, 1, _QUANTILES)).tolist()
    return found


def _certified(fitted: Routed, held_out: Routed) -> list[CertifiedPoint]:
    found = [certify(fitted, held_out, risk=risk) for risk in RISKS]
    return [point for point in found if point is not None]
