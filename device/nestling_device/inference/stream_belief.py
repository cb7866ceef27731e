"""Carries what the device believes about its stream from one input to the next.

The belief over the classes is filtered by `nestling_core.belief`. If a bundle was calibrated on
independent inputs, it has no filter, and the device judges every input by itself. In both cases,
the cloud's answers correct the device's confidence.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import RoutingCurve, StreamFilter
from nestling.v1.stream_pb2 import StreamState
from nestling_core.belief import belief_filter, reliability
from nestling_core.belief.evidence import calibrated, softmax
from nestling_core.belief.reliability import Prediction, Reliability

Floats = NDArray[np.float32]

# How far the sum of a saved belief, in single precision, may be from 1.
_ROUNDING = 1e-3


class Judgement(NamedTuple):
    """The answer that the device would give by itself after a capacity has run.

    Attributes:
        answer: the class index.
        confidence: the estimated probability that the answer is right.
    """

    answer: int
    confidence: float


class StreamBelief:
    """The belief about the present input, with corrections of the device's confidence.

    For each input, call `begin`, then `after_run` for each capacity that runs, and `after_answer`
    if the cloud answers.
    """

    def __init__(self, classes: int) -> None:
        """Start with all classes equally likely, and without corrections.

        Args:
            classes: the number of classes.
        """
        self._classes = classes
        self._reliability = reliability.as_calibrated(classes)
        self._newest: belief_filter.Belief | None = None
        self._prediction: Prediction | None = None

    def begin(self, curve: RoutingCurve, *, corrected: bool) -> None:
        """Begin the next input, on which no capacity has run yet.

        Args:
            curve: the routing curve of the loaded capacities, which has the filter.
            corrected: whether the cloud's earlier answers correct the confidence in this input. The
                thresholds of a risk guarantee apply to the confidence without corrections.
        """
        self._prediction, self._corrected = None, corrected
        self._filter: StreamFilter | None = curve.filter if curve.HasField("filter") else None
        if self._filter is None:
            self._newest = None
        else:
            newest = self._newest
            if newest is None:
                newest = belief_filter.unknown(self._filter, self._classes)
            self._predicted = belief_filter.without_run(self._filter, newest)
            self._newest = self._predicted

    def after_run(self, logits: Floats, right: float) -> Judgement:
        """Return what the device would answer after a capacity has run on the present input.

        Args:
            logits: the capacity's logits, which are finite, (C,).
            right: the estimated probability that the capacity is right.
        """
        if self._filter is None:
            self._prediction = Prediction(int(logits.argmax()), right)
        else:
            evidence = calibrated(logits, np.array(right))
            self._newest = belief_filter.with_evidence(self._filter, self._predicted, evidence)
            sure = belief_filter.probabilities(self._newest)
            best = int(sure.argmax())
            self._prediction = Prediction(best, float(sure[best]))
        answer, confidence = self._prediction
        if self._corrected:
            confidence = reliability.corrected(self._reliability, self._prediction)
        return Judgement(answer, confidence)

    def after_answer(self, logits: Floats, right: float | None) -> int:
        """Return the final answer after the cloud has answered the present input.

        Args:
            logits: the cloud's logits, (C,).
            right: the estimated probability that the cloud is right, or None if it is unknown
                because no capacity ran.
        """
        answer = int(logits.argmax())
        if self._prediction is not None and right is not None:
            self._reliability = reliability.after_cloud_answer(
                self._reliability, self._prediction, answer, right
            )
        if self._filter is None or self._newest is None:
            return answer
        self._newest = belief_filter.after_answer(self._filter, self._newest, softmax(logits))
        return int(belief_filter.probabilities(self._newest).argmax())

    def forget_stream(self) -> None:
        """Drop the belief about the class, for example after a gap in time.

        The corrections of the device's confidence are kept.
        """
        self._newest = None

    def save(self, state: StreamState) -> None:
        """Write the belief and the corrections into a state, which is changed in place."""
        if self._newest is not None:
            state.belief.extend(self._newest.ravel().tolist())
        state.offset_mean.extend(self._reliability.mean.tolist())
        state.offset_variance.extend(self._reliability.variance.tolist())

    def resume(self, state: StreamState) -> None:
        """Continue with the belief and the corrections that `save` wrote.

        Either is ignored if it has the wrong size or an impossible value.
        """
        joint, mean, variance = (
            np.array(part, np.float64)
            for part in (state.belief, state.offset_mean, state.offset_variance)
        )
        if _is_sound(joint, self._classes**2, 0.0) and abs(joint.sum() - 1) < _ROUNDING:
            self._newest = joint.reshape(self._classes, self._classes)
        offsets = len(self._reliability.mean)
        if _is_sound(mean, offsets, -reliability.LIMIT) and _is_sound(variance, offsets, 0.0):
            self._reliability = Reliability(np.minimum(mean, reliability.LIMIT), variance)


def _is_sound(values: NDArray[np.float64], size: int, least: float) -> bool:
    return len(values) == size and bool((np.isfinite(values) & (values >= least)).all())
