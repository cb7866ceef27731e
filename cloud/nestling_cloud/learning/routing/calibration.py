"""Finds the thresholds with which devices meet target offload shares and tolerated risks."""

from collections.abc import Callable, Sequence

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
from nestling_cloud.learning.routing.data import Floats, RoutingData
from nestling_cloud.learning.routing.fit_multiplexer import beliefs
from nestling_cloud.learning.routing.operating_points import routing_curve
from nestling_cloud.learning.routing.risk_guarantee import RISKS, RoutedInputs, certify
from nestling_cloud.models.multiplexer import Multiplexer

# A device compares its own predictions with these quantiles to detect drift.
_QUANTILES = 33


def calibrate(
    multiplexer: Multiplexer, fitted: RoutingData, held_out: RoutingData, macs: Sequence[int]
) -> Calibration:
    """Return a bundle's thresholds for target offload shares and tolerated risks.

    The thresholds for offload shares are derived from the held-out inputs. The thresholds for
    tolerated risks are proposed on the fitted inputs and tested on the held-out inputs.

    Args:
        multiplexer: the fitted multiplexer that the bundle ships.
        fitted: the inputs that the multiplexer was fitted on. The cascades (a small capacity runs
            first, and a larger one if needed) are fitted on them too.
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
    known, unseen = beliefs(multiplexer, fitted), beliefs(multiplexer, held_out)
    capacities = range(1, held_out.capacities + 1)
    cascades = [fit_cascade(known, fitted, macs, top) for top in capacities]

    def curve(cascade: CascadeRule) -> RoutingCurve:
        routed = route_inputs(cascade, unseen, held_out)
        device_right = of_answering_capacity(cascade, unseen, held_out.right)
        made = routing_curve(routed.gains, device_right, held_out.right[:, -1])
        made.certified.extend(_certified(route_inputs(cascade, known, fitted), routed))
        made.believed.extend(_quantiles(unseen[cascade.start - 1, :, cascade.top - 1]))
        return made

    return Calibration(
        curves=[curve(at_once(capacity)) for capacity in capacities],
        inputs=len(held_out),
        cascades=[_cascade_message(cascade, unseen, curve) for cascade in cascades],
    )


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


def _cascade_message(
    cascade: CascadeRule, believed: Floats, curve: Callable[[CascadeRule], RoutingCurve]
) -> Cascade:
    if cascade.start == cascade.top:
        return Cascade()
    return Cascade(
        start=cascade.start,
        threshold=cascade.threshold,
        larger_share=float(runs_larger(cascade, believed).mean()),
        curve=curve(cascade),
    )


def _quantiles(believed: Floats) -> list[float]:
    found: list[float] = np.quantile(believed, np.linspace(0, 1, _QUANTILES)).tolist()
    return found


def _certified(fitted: RoutedInputs, held_out: RoutedInputs) -> list[CertifiedPoint]:
    found = [certify(fitted, held_out, risk=risk) for risk in RISKS]
    return [point for point in found if point is not None]
