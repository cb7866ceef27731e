"""Answers one long stream of test inputs with the decision code that devices run."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.streams.fitted import FittedRouter
from nestling.v1.budget_pb2 import Budget
from nestling.v1.bundle_pb2 import RoutingCurve
from nestling_cloud.learning.routing import CascadeRule
from nestling_cloud.learning.routing.stream_replay import deal_recordings
from nestling_core.kinds.labels import SingleLabel
from nestling_core.routing.curve import useful_share
from nestling_device.inference import policy
from nestling_device.inference.stream_belief import StreamBelief
from nestling_device.inference.target_controller import InputCost, TargetController, target_of

WINDOW = 500
"""The target window of a device by default."""
_NOTHING, _OFFLOAD = (InputCost(share=share, energy=0, latency=0) for share in (0, 1))


@dataclass(frozen=True, kw_only=True)
class Routing:
    """How a device routes inputs.

    Attributes:
        cascade: the capacities that run.
        curve: the bundle's routing curve for these capacities.
    """

    cascade: CascadeRule
    curve: RoutingCurve


@dataclass(frozen=True, kw_only=True)
class DeviceRun:
    """The results of answering all test recordings as one stream.

    Attributes:
        deviation: the largest absolute difference between the target and the offload share of any
            window of 500 inputs, in points.
        share: the offload share of the whole stream, %.
        accuracy: the accuracy of the answers, %.
        overconfidence: the mean confidence of the device in the answers that it gave itself, minus
            the accuracy of these answers, in points.
    """

    deviation: float
    share: float
    accuracy: float
    overconfidence: float


class _Routed(NamedTuple):
    """How an input was answered.

    Attributes:
        sent: whether it was sent to the cloud.
        answer: the final answer.
        confidence: the device's confidence in its own answer, or 0 if no capacity ran.
    """

    sent: bool
    answer: int
    confidence: float


def run_device(
    router: FittedRouter,
    routing: Routing,
    target: float,
    *,
    order: int,
    corrected: bool = True,
) -> DeviceRun:
    """Return the results of a device that keeps a target share over the default window.

    Args:
        router: the fitted router.
        routing: how the device routes inputs.
        target: the target offload share.
        order: the seed of the order of the test recordings.
        corrected: whether the cloud's answers correct the device's confidence.
    """
    test = router.test
    budget = Budget(offload_share=target, target_window=WINDOW)
    device = _Device(router, routing, budget, corrected=corrected)
    places = deal_recordings(test.lengths, 1, order)[0]
    columns = zip(*(device.answer(int(place)) for place in places), strict=True)
    sent, answers, confidences = map(np.array, columns)
    right = answers == test.labels[places]
    return DeviceRun(
        deviation=_deviation(sent, target),
        share=float(100 * sent.mean()),
        accuracy=float(100 * right.mean()),
        overconfidence=float(100 * (confidences - right)[~sent].mean()),
    )


def _deviation(sent: NDArray[np.bool_], target: float) -> float:
    sums = np.concatenate([[0], np.cumsum(sent)])
    shares = (sums[WINDOW:] - sums[:-WINDOW]) / WINDOW
    return float(100 * np.abs(shares - target).max())


class _Device:
    """A device that routes inputs whose outputs are known."""

    def __init__(
        self,
        router: FittedRouter,
        routing: Routing,
        budget: Budget,
        *,
        corrected: bool,
    ) -> None:
        self._router, self._cascade, self._curve = router, routing.cascade, routing.curve
        self._budget, self._corrected = budget, corrected
        self._target = target_of(budget, kept=_NOTHING, sent=_OFFLOAD)
        self._controller = TargetController()
        self._belief = StreamBelief(SingleLabel(("",) * router.test.logits.shape[2]))

    def answer(self, place: int) -> _Routed:
        """Return how the device answers an input.

        Args:
            place: the index of the input in the test data.
        """
        share = min(self._controller.share_to_aim_at(self._target), useful_share(self._curve))
        thresholds = policy.thresholds_for(self._curve, share)
        self._belief.begin(self._curve, corrected=self._corrected)
        routed, cloud_right = self._route(place, thresholds)
        if routed.sent:
            answer = self._belief.after_answer(self._router.test.cloud[place], cloud_right)
            routed = routed._replace(answer=answer.code)
        self._controller = self._controller.after_input(
            self._target, _OFFLOAD if routed.sent else _NOTHING
        )
        return routed

    def _route(self, place: int, thresholds: policy.Thresholds) -> tuple[_Routed, float | None]:
        """Return how an input is routed, with the device's own answer.

        Args:
            place: the index of the input in the test data.
            thresholds: the thresholds for this input.

        Returns:
            The route, with the answer -1 if no capacity runs; and the predicted probability that
            the cloud is right, or None if no capacity runs.
        """
        if policy.keeps_nothing(thresholds):
            return _Routed(sent=True, answer=-1, confidence=0.0), None
        start, top = self._cascade.start - 1, self._cascade.top - 1
        answer, confidence, right = self._run(start, place)
        if start != top:
            gain = right[-1] - max(confidence, right[top])
            if policy.prefers_cloud(gain, thresholds.gate):
                return _Routed(sent=True, answer=answer, confidence=confidence), right[-1]
            if policy.runs_larger(right[top] - right[start], self._cascade.threshold):
                answer, confidence, right = self._run(top, place)
        sent = policy.prefers_cloud(right[-1] - confidence, thresholds.accept)
        return _Routed(sent=sent, answer=answer, confidence=confidence), right[-1]

    def _run(self, capacity: int, place: int) -> tuple[int, float, list[float]]:
        right = [float(one) for one in self._router.predicted[capacity, place]]
        judged = self._belief.after_run(self._router.test.logits[capacity, place], right[capacity])
        return judged.answer.code, judged.confidence, right
