"""Computes what the cloud would have answered on its own, behind a stream filter of its own.

The filter is fitted as the device's filters are, but on the cloud's outputs for the task's
calibration inputs.
"""

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import StreamFilter
from nestling_cloud.learning.routing import RoutingData, at_once
from nestling_cloud.learning.routing.stream_filter import fit_filter
from nestling_cloud.learning.routing.stream_replay import Thresholds, replay
from nestling_cloud.tasks import Examples
from nestling_core.belief.evidence import softmax
from nestling_sim.figures.filtered_run import one_capacity

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

_NEVER = np.ones(1)  # no gain exceeds it


def cloud_filter(calibration: Examples, logits: Floats) -> StreamFilter | None:
    """Return the filter with which the cloud answers best, or None if none can be fitted.

    The result is None if neighboring inputs are not alike, or if there are more than 32 classes.

    Args:
        calibration: the task's calibration inputs, which the cloud was not trained on.
        logits: the cloud's logits for them, (N, C).
    """
    data = RoutingData(
        inputs=calibration.inputs,
        logits=logits[None],
        cloud=logits,
        labels=calibration.labels,
        lengths=calibration.lengths,
    )
    return fit_filter(data, _right(logits)[None], at_once(1), shares=(0.0,))


def filtered_answers(parameters: StreamFilter, places: Indices, logits: Floats) -> Indices:
    """Return the answers of the cloud if it answers every input of several streams, (N,).

    Args:
        parameters: the parameters of the filter.
        places: the index of each input of each stream, (S, T), where -1 marks the end.
        logits: the cloud's logits, (N, C).
    """
    streams = one_capacity(places, logits, _right(logits), logits)
    result = replay(parameters, streams, at_once(1), Thresholds(gate=_NEVER, accept=_NEVER))
    answers: Indices = result.answers[0]
    return answers


def _right(logits: Floats) -> Floats:
    """Return the success probabilities of the cloud as the only capacity, (N, 2).

    The second column is 0, so that a replay sends no input.
    """
    own = softmax(logits).max(axis=-1)
    return np.stack([own, np.zeros_like(own)], axis=-1).astype(np.float32)
