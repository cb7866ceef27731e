"""Computes what other routers would have answered behind the stream filter of the run's bundle.

A filter carries a belief about the class from one input of a stream to the next. Behind it, the
other routers and the options by themselves have the same memory as the devices of the run.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Calibration, StreamFilter
from nestling_cloud.learning.routing import at_once
from nestling_cloud.learning.routing.stream_replay import Streams, Thresholds, replay
from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_core.belief.evidence import calibrated, softmax

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]
Indices = NDArray[np.intp]

# Gains between which the bundle's own rule is replayed.
_GAINS = np.concatenate([-np.geomspace(1, 0.01, 40), [0.0], np.geomspace(0.01, 1, 40)])
_SEND_ALL = -1 - 1e-6


@dataclass(frozen=True, kw_only=True)
class FilteredRun:
    """The inputs of a run as streams behind the bundle's filter, in the order of the receipts.

    Attributes:
        filters: the parameters of the filter of each stream.
        streams: the streams. Their only capacity is the resident one of each input.
        labels: the true class index of each input, (N,).
        cloud: whether the cloud is right if it answers every input behind a filter of its own (or
            without a filter if none can be fitted), (N,).
    """

    filters: Sequence[StreamFilter]
    streams: Streams
    labels: NDArray[np.int64]
    cloud: Bools

    def accuracies(self, ranks: Doubles, counts: Sequence[int]) -> list[float]:
        """Return the accuracy of a router for each number of inputs that it sends.

        Args:
            ranks: the rank of each input among those that the router sends, from 0, (N,). Infinite
                for an input that cannot be sent.
            counts: the numbers of inputs that are sent.
        """
        _, right = self._replay(0.5 - np.asarray(counts, np.float64), urgency=-ranks)
        return [float(accuracy) for accuracy in right.mean(axis=1)]

    def device(self) -> float:
        """Return the accuracy of the devices if no input is sent."""
        return self.accuracies(np.full(len(self.labels), np.inf), [0])[0]

    def own_accuracies(self, shares: Sequence[float]) -> list[float]:
        """Return the accuracies of the bundle's own rule, interpolated at several offload shares.

        The whole fleet has one threshold, and the cloud is always available.

        Args:
            shares: the offload shares, from 0 to 1.
        """
        sent, right = self._replay(np.concatenate([_GAINS[::-1], [_SEND_ALL]]))
        # With a higher threshold, a few more inputs may be sent: every answer changes the belief.
        found_shares = sent.mean(axis=1)
        order = np.argsort(found_shares, kind="stable")
        found = np.interp(shares, found_shares[order], right.mean(axis=1)[order])
        return [float(accuracy) for accuracy in found]

    def _replay(self, thresholds: Doubles, urgency: Doubles | None = None) -> tuple[Bools, Bools]:
        """Return which inputs are sent and which answers are right at each threshold, (R, N)."""
        sent = np.zeros((len(thresholds), len(self.labels)), np.bool_)
        right = np.zeros_like(sent)
        alike: dict[bytes, list[int]] = {}  # streams with the same filter are replayed at once
        for number, parameters in enumerate(self.filters):
            alike.setdefault(parameters.SerializeToString(deterministic=True), []).append(number)
        for numbers in alike.values():
            places = self.streams.places[numbers]
            result = replay(
                self.filters[numbers[0]],
                replace(self.streams, places=places),
                at_once(1),
                Thresholds(gate=thresholds, accept=thresholds),
                urgency,
            )
            rows = places[places >= 0]
            sent[:, rows] = result.sent[:, rows]
            right[:, rows] = result.answers[:, rows] == self.labels[rows]
        return sent, right


def filters_of(
    receipts: Sequence[ReceiptRow], calibration: Calibration
) -> list[StreamFilter] | None:
    """Return the filter of each device's stream, or None if the bundle has no filter.

    A device gets the filter for running, without a cascade, the capacity that was resident for most
    of its inputs.

    Args:
        receipts: one receipt for each input, sorted by device and input index.
        calibration: the calibration of the bundle.
    """
    if not all(curve.HasField("filter") for curve in calibration.curves):
        return None
    residents = [
        Counter(row.resident_capacity for row in rows).most_common(1)[0][0]
        for _, rows in groupby(receipts, key=attrgetter("device"))
    ]
    return [calibration.curves[resident - 1].filter for resident in residents]


def one_capacity(places: Indices, logits: Floats, right: Floats, cloud: Floats) -> Streams:
    """Return streams that are answered by a single capacity and by the cloud.

    Args:
        places: the index of each input of each stream, (S, T), where -1 marks the end.
        logits: the logits of the capacity, (N, C).
        right: the success probabilities of the capacity and of the cloud, (N, 2).
        cloud: the logits of the cloud, (N, C).
    """
    return Streams(
        places=places,
        evidence=calibrated(logits, right[:, 0])[None],
        right=np.asarray(right, np.float64)[None],
        cloud=softmax(cloud),
    )


def stream_places(receipts: Sequence[ReceiptRow]) -> Indices:
    """Return the indices of each device's receipts, (devices, receipts of the longest stream).

    Shorter rows are filled up with -1.

    Args:
        receipts: the receipts, sorted by device and input index.
    """
    sizes = [len(list(rows)) for _, rows in groupby(receipts, key=attrgetter("device"))]
    starts = np.cumsum([0, *sizes])
    return np.stack(
        [
            np.pad(np.arange(size) + start, (0, max(sizes) - size), constant_values=-1)
            for start, size in zip(starts, sizes, strict=False)
        ]
    ).astype(np.intp)
