"""Finds thresholds for devices with a stream filter, and replays the streams with them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nestling.v1.bundle_pb2 import OperatingPoint, RoutingCurve, StreamFilter
from nestling_cloud.learning.routing.cascade import CascadeRule
from nestling_cloud.learning.routing.data import RoutingData
from nestling_cloud.learning.routing.operating_points import SHARES
from nestling_cloud.learning.routing.stream_filter import gate_thresholds
from nestling_cloud.learning.routing.stream_replay import (
    Doubles,
    Replay,
    Streams,
    Thresholds,
    replay,
)

# Gains between which thresholds are sought, and the rounds of bisection between two of them.
_GAINS = np.concatenate([-np.geomspace(1, 0.01, 20), [0.0], np.geomspace(0.01, 1, 20)])
_ROUNDS = 6
_KEEP_NOTHING = -1 - 1e-6


@dataclass(frozen=True, kw_only=True)
class RoutedStreams:
    """Streams of recordings that devices answer with a filter and a cascade.

    Attributes:
        parameters: the parameters of the filter.
        streams: the streams.
        data: the outputs of every option for the inputs of the streams.
        cascade: the capacities that run.
    """

    parameters: StreamFilter
    streams: Streams
    data: RoutingData
    cascade: CascadeRule

    def at_shares(
        self,
        shares: Sequence[float],
        with_gate: Callable[[Doubles], Thresholds] = gate_thresholds,
    ) -> tuple[Thresholds, Replay]:
        """Return the thresholds at which shares of the inputs are sent, and the replays at them.

        Args:
            shares: the offload shares, 0 to 1.
            with_gate: a function that adds gate thresholds to accept thresholds.

        Returns:
            The thresholds, (R,) each, and their replays.
        """
        coarse = self.replay(with_gate(_GAINS)).shares()
        above = [int((coarse > share).sum()) for share in shares]
        low = _GAINS[np.maximum(np.array(above) - 1, 0)]
        high = _GAINS[np.minimum(above, len(_GAINS) - 1)]
        for _ in range(_ROUNDS):
            middle = (low + high) / 2
            sent = self.replay(with_gate(middle)).shares()
            too_many = sent > np.asarray(shares)
            low, high = np.where(too_many, middle, low), np.where(too_many, high, middle)
        accept = np.where(np.asarray(shares) >= 1, _KEEP_NOTHING, high)
        found = with_gate(np.where(np.asarray(shares) <= 0, 1.0, accept))
        return found, self.replay(found)

    def larger_share(self) -> float:
        """Return the share of inputs on which the larger capacity runs if none is sent."""
        keep_all = gate_thresholds(np.ones(1))
        return float(self.replay(keep_all).larger.mean())

    def replay(self, thresholds: Thresholds) -> Replay:
        """Return what is answered and sent at each of several thresholds."""
        return replay(self.parameters, self.streams, self.cascade, thresholds)


def stream_curve(routed: RoutedStreams) -> RoutingCurve:
    """Return a curve with the operating points for all target offload shares in `SHARES`.

    Args:
        routed: the streams that the curve applies to, which the router was not fitted on.
    """
    thresholds, result = routed.at_shares(SHARES)
    accuracies = result.accuracies(routed.data.labels)
    points = [
        OperatingPoint(
            offload_share=share, gate_threshold=gate, accept_threshold=accept, accuracy=accuracy
        )
        for share, gate, accept, accuracy in zip(
            SHARES, *map(_floats, (thresholds.gate, thresholds.accept, accuracies)), strict=True
        )
    ]
    return RoutingCurve(points=points, filter=routed.parameters)


def _floats(values: Doubles) -> list[float]:
    return [float(value) for value in values]
