"""Judges inputs of many streams at once with all thresholds that devices test."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.offload.audited_outputs import Doubles, Indices, Outputs, Routing
from nestling.v1.bundle_pb2 import StreamFilter
from nestling_core.belief import belief_filter
from nestling_core.guarantee import shadow_beliefs

Bools = NDArray[np.bool_]


class Judged(NamedTuple):
    """What every threshold does with the next input of each stream.

    Attributes:
        kept: whether the row of a threshold keeps its answer, (S, R).
        changed: whether the cloud would change the answer of the row, (S, R).
    """

    kept: Bools
    changed: Bools


class Rows(Protocol):
    """The rows of `shadow_beliefs` of many streams: row 0 sends every input."""

    def judge(self, places: Indices) -> Judged:
        """Return what each row does with an input of each stream, (S,)."""
        ...

    def hear(self, sent: Bools) -> None:
        """Tell the rows the cloud's answers to the inputs that were sent, (S,)."""
        ...


class PlainRows:
    """Rows of devices that judge every input by itself."""

    def __init__(self, outputs: Outputs, rows: Doubles) -> None:
        """Judge inputs of a pool with the threshold of each row, (R,)."""
        self._gain, self._changed = outputs.cloud_right - outputs.right, outputs.changed
        self._rows = rows

    def judge(self, places: Indices) -> Judged:
        """Return what each row does, as `Rows` describes."""
        kept = self._gain[places][:, None] <= self._rows
        return Judged(kept, np.broadcast_to(self._changed[places][:, None], kept.shape))

    def hear(self, sent: Bools) -> None:
        """Do nothing: there is no belief."""


class FilteredRows:
    """Rows of devices with a stream filter."""

    def __init__(
        self, outputs: Outputs, rows: Doubles, parameters: StreamFilter, streams: int
    ) -> None:
        """Begin with no belief.

        Args:
            outputs: the pool of inputs.
            rows: the threshold of each row, (R,).
            parameters: the parameters of the filter.
            streams: the number of streams.
        """
        self._evidence, self._cloud = outputs.evidence, outputs.probabilities
        self._right, self._rows, self._parameters = outputs.cloud_right, rows, parameters
        classes = self._cloud.shape[1]
        self._belief = belief_filter.unknown(parameters, classes, streams, len(rows))
        self._kept = np.zeros((streams, len(rows)), np.bool_)
        self._heard = np.zeros((streams, classes))

    def judge(self, places: Indices) -> Judged:
        """Return what each row does, as `Rows` describes."""
        parameters, self._heard = self._parameters, self._cloud[places]
        evidence = self._evidence[places][:, None]
        self._belief = belief_filter.after_run(parameters, self._belief, evidence)
        sure = belief_filter.probabilities(self._belief)
        judged = shadow_beliefs.judge(sure, self._right[places][:, None], self._rows)
        self._kept = judged.kept
        told = shadow_beliefs.told_answers(parameters, sure, self._heard)
        return Judged(judged.kept, told != judged.answers)

    def hear(self, sent: Bools) -> None:
        """Update the rows, as `Rows` describes."""
        deaf = self._kept | ~sent[:, None]
        self._belief = shadow_beliefs.after_answer(
            self._parameters, self._belief, deaf, self._heard
        )


def rows_of(outputs: Outputs, routing: Routing, streams: int) -> Rows:
    """Return the rows of devices at the start of their streams."""
    rows = shadow_beliefs.row_thresholds(routing.plan.thresholds)
    if routing.filter is None:
        return PlainRows(outputs, rows)
    return FilteredRows(outputs, rows, routing.filter, streams)
