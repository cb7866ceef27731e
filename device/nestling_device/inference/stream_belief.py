"""Carries what the device believes about its stream from one input to the next.

The belief over the classes is filtered by `nestling_core.belief`. If a bundle was calibrated on
independent inputs, it has no filter, and the device judges every input on its own. In both cases,
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
from nestling_core.guarantee import shadow_beliefs
from nestling_core.kinds.kind import Answer, Kind, agree, answer_of

Floats = NDArray[np.float32]

# How far the sum of a saved belief, in single precision, may be from 1.
_ROUNDING = 1e-3


class Judgement(NamedTuple):
    """The answer that the device would give on its own after a capacity has run.

    Attributes:
        answer: the answer.
        confidence: the estimated probability that the answer is right.
    """

    answer: Answer
    confidence: float


class StreamBelief:
    """The belief about the current input, with corrections of the device's confidence.

    For each input, call `begin`, then `after_run` for each capacity that runs, and `after_answer`
    if the cloud answers.

    Under a tolerated risk, there are several beliefs, one in each row
    (`nestling_core.guarantee.shadow_beliefs`). The device answers with the one that is in use.

    Attributes:
        prediction: the device's answer to the current input with its confidence before
            corrections, or None if no capacity has run yet.
    """

    def __init__(self, kind: Kind) -> None:
        """Start with all classes equally likely, and without corrections.

        Args:
            kind: the kind of the task. Only single-label tasks have filters.
        """
        self._kind = kind
        self._classes = kind.teacher_outputs
        self._reliability = reliability.as_calibrated(kind.groups)
        self._own: Answer | None = None
        self._rows: belief_filter.Belief | None = None  # (R, C, C)
        self._in_use = 0
        self.prediction: Prediction | None = None

    @property
    def sure(self) -> NDArray[np.float64] | None:
        """The probability of each class in each row, (R, C), or None without a filter."""
        return None if self._rows is None else belief_filter.probabilities(self._rows)

    @property
    def sure_in_use(self) -> NDArray[np.float64] | None:
        """The probability of each class in the row in use, (C,), or None without a filter."""
        sure = self.sure
        return None if sure is None else sure[self._in_use]

    def begin(
        self, curve: RoutingCurve, *, corrected: bool, rows: int = 1, in_use: int = 0
    ) -> None:
        """Begin the next input, on which no capacity has run yet.

        Args:
            curve: the routing curve of the loaded capacities, which has the filter.
            corrected: whether the cloud's earlier answers correct the confidence in this input. The
                thresholds of a risk guarantee apply to the confidence without corrections.
            rows: the number of beliefs.
            in_use: the index of the belief with which the device answers.
        """
        self.prediction, self._own, self._corrected = None, None, corrected
        self._filter: StreamFilter | None = curve.filter if curve.HasField("filter") else None
        if self._filter is None:
            self._rows = None
        else:
            before = self._rows
            if before is None or len(before) != rows:
                before = self._other_rows(self._filter, rows, in_use)
            self._predicted = belief_filter.without_run(self._filter, before)
            self._rows = self._predicted
        self._in_use = in_use

    def _other_rows(self, parameters: StreamFilter, rows: int, in_use: int) -> belief_filter.Belief:
        """Return a new number of beliefs, of which only the one in use knows anything."""
        unknown = belief_filter.unknown(parameters, self._classes, rows)
        if self._rows is not None:
            unknown[in_use] = self._rows[self._in_use]
        return unknown

    def after_run(self, logits: Floats, right: float) -> Judgement:
        """Return what the device would answer after a capacity has run on the current input.

        Args:
            logits: the capacity's outputs, which are finite, (O,).
            right: the estimated probability that the capacity is right.
        """
        if self._filter is None:
            self._own, confidence = answer_of(self._kind, logits), right
        else:
            evidence = calibrated(logits, np.array(right))
            self._rows = belief_filter.with_evidence(self._filter, self._predicted, evidence)
            sure = belief_filter.probabilities(self._rows)[self._in_use]
            self._own, confidence = Answer(int(sure.argmax())), float(sure.max())
        self.prediction = Prediction(self._kind.group(self._own), confidence)
        if self._corrected:
            confidence = reliability.corrected(self._reliability, self.prediction)
        return Judgement(self._own, confidence)

    def after_answer(
        self, logits: Floats, right: float | None, kept: NDArray[np.bool_] | None = None
    ) -> Answer:
        """Return the final answer after the cloud has answered the current input.

        Args:
            logits: the cloud's outputs, (O,).
            right: the estimated probability that the cloud is right, or None if it is unknown
                because no capacity ran.
            kept: whether each row would have kept its answer, (R,). Such a row does not learn the
                cloud's answer. None if every row learns it.
        """
        answer = answer_of(self._kind, logits)
        if self.prediction is not None and self._own is not None and right is not None:
            self.learn(self.prediction, right, agrees=agree(self._kind, self._own, answer))
        if self._filter is None or self._rows is None:
            return answer
        heard = np.zeros(len(self._rows), np.bool_) if kept is None else kept
        self._rows = shadow_beliefs.after_answer(self._filter, self._rows, heard, softmax(logits))
        return Answer(int(belief_filter.probabilities(self._rows)[self._in_use].argmax()))

    def learn(self, prediction: Prediction, right: float, *, agrees: bool) -> None:
        """Correct the device's confidence in later answers, given an answer of the cloud.

        Args:
            prediction: what the device predicted about the same input.
            right: the estimated probability that the cloud is right.
            agrees: whether the cloud's answer is the device's.
        """
        self._reliability = reliability.after_cloud_answer(
            self._reliability,
            prediction,
            agrees=agrees,
            cloud_right=right,
            alternatives=self._kind.alternatives,
        )

    def forget_stream(self) -> None:
        """Drop the belief about the class, for example after a gap in time.

        The corrections of the device's confidence are kept.
        """
        self._rows = None

    def save(self, state: StreamState) -> None:
        """Write the belief in use and the corrections into a state, which is changed in place."""
        if self._rows is not None:
            state.belief.extend(self._rows[self._in_use].ravel().tolist())
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
            self._rows, self._in_use = joint.reshape(1, self._classes, self._classes), 0
        offsets = len(self._reliability.mean)
        if _is_sound(mean, offsets, -reliability.LIMIT) and _is_sound(variance, offsets, 0.0):
            self._reliability = Reliability(np.minimum(mean, reliability.LIMIT), variance)


def _is_sound(values: NDArray[np.float64], size: int, least: float) -> bool:
    return len(values) == size and bool((np.isfinite(values) & (values >= least)).all())
