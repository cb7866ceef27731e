"""Measures the time of one step of the filter, and the size of its state."""

import time
from dataclasses import dataclass

import numpy as np

from nestling.v1.bundle_pb2 import RoutingCurve, StreamFilter
from nestling.v1.stream_pb2 import StreamState
from nestling_core.belief import belief_filter
from nestling_core.belief.evidence import softmax
from nestling_core.kinds.labels import SingleLabel
from nestling_device.inference.stream_belief import StreamBelief

CLASSES = (7, 10)
"""Numbers of classes: those of `wearable` and of `fashion`."""
_STEPS = 5000
_FILTER = StreamFilter(stay=0.9, reread=0.1, misread=0.2, weight=0.5, doubt=0.05)


@dataclass(frozen=True, kw_only=True)
class StepCost:
    """The cost of the filter.

    Attributes:
        microseconds: the median time of one step: the belief after a run, and its probabilities.
        bytes: the size of the saved belief and of the offsets of the device's confidence.
    """

    microseconds: float
    bytes: int


def measure_step(classes: int) -> StepCost:
    """Return the cost of the filter for a number of classes."""
    rng = np.random.default_rng(0)
    evidence = softmax(rng.normal(0, 3, (_STEPS, classes)))
    belief, times = belief_filter.unknown(_FILTER, classes), []
    for one in evidence:
        started = time.perf_counter_ns()
        belief = belief_filter.after_run(_FILTER, belief, one)
        belief_filter.probabilities(belief)
        times.append(time.perf_counter_ns() - started)
    return StepCost(microseconds=float(np.median(times)) / 1000, bytes=_saved(classes).ByteSize())


def _saved(classes: int) -> StreamState:
    """Return the saved state after one input that the cloud has answered."""
    state, belief = StreamState(), StreamBelief(SingleLabel(("",) * classes))
    belief.begin(RoutingCurve(filter=_FILTER), corrected=True)
    belief.after_run(np.arange(classes, dtype=np.float32), 0.9)
    belief.after_answer(np.arange(classes, dtype=np.float32), 0.9)
    belief.save(state)
    return state
