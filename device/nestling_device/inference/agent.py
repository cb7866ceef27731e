"""Answers inputs on the device or in the cloud.

`Agent.answer` usually takes these steps:

1. Fetch missing rings (the weights that a capacity adds to the next smaller one). Then load the
   capacities that the budget admits: one, or a cascade of two.
2. Run the first capacity. If the cloud's predicted advantage exceeds a threshold (the gate), send
   the input to the cloud.
3. Otherwise, run the larger capacity if it is expected to improve the answer enough. Then accept
   the device's answer or escalate, that is, send the input to the cloud after all.
4. If the cloud gives no answer, use the device's own answer.
5. Store a receipt with the answer, its route and its costs.

The rules for these decisions are in `policy`, `limits` and `resident_capacity`.
"""

import dataclasses
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from nestling.v1 import receipt_pb2
from nestling.v1.budget_pb2 import Budget
from nestling.v1.receipt_pb2 import Reason, Receipt, Route
from nestling.v1.stream_pb2 import StreamState
from nestling_core.clock import unix_ms
from nestling_device.bundle.loaded_bundle import LoadedBundle
from nestling_device.bundle.multiplexer import success
from nestling_device.energy.measured_costs import MeasuredCosts
from nestling_device.energy.meter import Meter
from nestling_device.inference import policy
from nestling_device.inference.capacity_loader import CapacityLoader
from nestling_device.inference.cloud_client import Cloud, NoAnswer
from nestling_device.inference.cost_account import CostAccount
from nestling_device.inference.input_check import Window, check_input
from nestling_device.inference.limit_notices import LimitNotices
from nestling_device.inference.offload_target import OffloadTarget
from nestling_device.inference.offloader import Offloader, OffloadRequest
from nestling_device.inference.stream_belief import StreamBelief
from nestling_device.inference.stream_state import Stream, controller_of, detector_of
from nestling_device.inference.student import LocalAnswer, Student
from nestling_device.inference.target_controller import Target

# Pauses before as many inputs in a row are noticed: the belief is of no use then.
_NOTICED_PAUSES = 5


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """The final answer to an input, and its route.

    Attributes:
        answer: the class index.
        capacity: the capacity that gave the answer, or 0 for the cloud.
        reason: the reason for the route.
        local: the device's own last answer, or None if no capacity of the student ran.
    """

    answer: int
    capacity: int
    reason: Reason.ValueType
    local: LocalAnswer | None


class Agent:
    """Answers inputs one after another.

    An agent is not thread-safe.

    Args:
        bundle: the active bundle.
        offloader: the connection that sends inputs to the cloud.
        meter: the meter that estimates or measures the time and energy of each step.
        deadline_ms: the longest wait for the cloud's answer, in wall-clock milliseconds.
        keep: a function that stores a receipt, and the state of the stream after it, durably and
            together. It is called before `answer` returns.
        grow: a function that fetches missing files of the bundle. Its argument is the memory budget
            in bytes. It is called when the budget admits more capacities than the device has, or
            when a file of the bundle is damaged. It returns the same bundle with the missing files,
            or raises DeliveryError.
        costs: the costs measured on this machine, or None if there are none. The meter estimates
            the costs that were not measured.
        stream: the stream of inputs, with the state to continue with.
        draw: a function that returns random numbers from 0 to 1, which vary the pauses after failed
            offloads.
    """

    def __init__(
        self,
        bundle: LoadedBundle,
        offloader: Offloader,
        meter: Meter,
        *,
        deadline_ms: float,
        keep: Callable[[Receipt, StreamState], object],
        grow: Callable[[int], LoadedBundle],
        costs: MeasuredCosts | None = None,
        stream: Stream = Stream(),  # noqa: B008 - immutable
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._notices = LimitNotices()
        self._cloud = Cloud(offloader, meter, self._notices, deadline_ms=deadline_ms, draw=draw)
        self._meter = meter
        self._keep = keep
        self._stream, self._pauses = stream, 0
        self._now_ms = 0
        self._state = stream.state_for(bundle.version)
        self._loader = CapacityLoader(bundle, meter, self._notices, grow=grow, measured=costs)
        self._target = OffloadTarget(self._loader, meter, self._notices, controller_of(self._state))
        self._belief = StreamBelief(len(bundle.manifest.signature.classes))
        self._belief.resume(self._state)
        self._student = Student(self._loader, self._belief, detector_of(self._state))

    @property
    def bundle(self) -> LoadedBundle:
        """The bundle in use."""
        return self._loader.bundle

    @property
    def drifting(self) -> bool | None:
        """Whether inputs are harder than those that the bundle was calibrated on.

        The value is None if no capacity of the student ran on the last input, for example while
        the offload share is 1. The difficulty of an input is known only after such a run.
        """
        return self._student.drifting

    def answer(self, index: int, window: Window, budget: Budget) -> Receipt:
        """Answer one input and store its receipt.

        Args:
            index: the position of the input in the source, from 0.
            window: the input, float32 in the task's shape and units.
            budget: the limits and targets for this input.

        Returns:
            The receipt, already stored. Its field `answer` is the class index.

        Raises:
            InputError: the shape or type does not fit the task; no receipt was stored.
            UnanswerableError: the input or the student's output is not finite; no receipt was
                stored.
            StorageError: the receipt could not be stored.
            DeliveryError: not even the smallest capacity can be read from the disk.
        """
        check_input(window, self.bundle.manifest)
        started = time.perf_counter()
        self._loader.fit(budget)
        now_ms = unix_ms()
        self._now_ms = now_ms
        self._continue_stream(now_ms)
        self._student.begin(budget)
        account = CostAccount(self._meter, budget)
        request = OffloadRequest(window=window, index=index, device_answer=None)
        outcome = self._route(request, account)
        local = outcome.local
        receipt = Receipt(
            input_index=index,
            answered_at_ms=now_ms,
            bundle_version=self.bundle.version,
            route=Route(capacity=outcome.capacity, reason=outcome.reason),
            answer=outcome.answer,
            device_answer=None if local is None else local.answer,
            device_confidence=0.0 if local is None else local.confidence,
            resident_capacity=self.bundle.nest.resident,
            wall_ms=(time.perf_counter() - started) * 1e3,
            budget=budget,
            success=None if local is None else self._success(local, budget),
        )
        account.enter(receipt, self._cloud.size_bytes)
        self._state = self._stream.saved(
            self.bundle.version, now_ms, self._belief, self._target.controller, self._student.drift
        )
        self._keep(receipt, self._state)
        return receipt

    def _continue_stream(self, now_ms: int) -> None:
        """Drop the belief about the stream if the next input does not belong to it."""
        if self._stream.continues(self._state, now_ms):
            self._pauses = 0
            return
        self._belief.forget_stream()
        self._pauses += 1
        if self._pauses == _NOTICED_PAUSES:
            self._notices.pauses(self._stream.gap_s)

    def _success(self, local: LocalAnswer, budget: Budget) -> list[float]:
        size, manifest = self._cloud.size_bytes, self.bundle.manifest
        found: list[float] = success(
            local.right, manifest, budget, offload_size_bytes=size
        ).tolist()
        return found

    def _route(self, request: OffloadRequest, account: CostAccount) -> _Outcome:
        """Answer an input and update the target controller with the cost of the answer."""
        target = self._target.of(account.budget, self._cloud.size_bytes)
        outcome = self._choose(request, target, account)
        offloaded = outcome.reason != receipt_pb2.REASON_ACCEPTED
        self._target.after_input(target, account, outcome.reason, offloaded=offloaded)
        return outcome

    def _choose(self, request: OffloadRequest, target: Target, account: CostAccount) -> _Outcome:
        """Return the answer of the device or of the cloud, using the capacities that are loaded.

        If the cloud gives no answer, the device answers.
        """
        skipped = self._cloud.skip_reason(account, self._now_ms)
        if skipped is not None:
            return _kept(self._student.answer(request.window, account), skipped)
        thresholds = self._target.thresholds(
            target, account.budget, drifting=self._student.inputs_drift
        )
        if policy.keeps_nothing(thresholds):
            return self._offload_first(request, account)
        local = self._student.run_first(request.window, account)
        gated = False
        if local.capacity < self.bundle.nest.resident:
            gain = local.cloud_gain_over(self.bundle.nest.resident)
            gated = policy.prefers_cloud(gain, thresholds.gate)
            if gated and self._limit_reason(local, account) is None:
                return self._offload_at_gate(request, local, account)
            local = self._student.run_larger(request.window, local, account)
        # An input that the gate would have sent is never accepted: no risk guarantee covers it.
        if not gated and not policy.prefers_cloud(local.cloud_gain, thresholds.accept):
            return _kept(local, receipt_pb2.REASON_ACCEPTED)
        limit = self._limit_reason(local, account)
        if limit is not None:
            return _kept(local, limit)
        return self._offload(request, local, receipt_pb2.REASON_ESCALATED, account)

    def _limit_reason(self, local: LocalAnswer, account: CostAccount) -> Reason.ValueType | None:
        """Return the reason for the receipt if a limit rules out an offload, or None otherwise.

        Limits are compared with the expected costs of the runs so far. Their measured costs vary,
        so a replay that used them could decide differently.
        """
        ran = [
            self._loader.costs[number - 1] for number in {self.bundle.nest.start, local.capacity}
        ]
        return self._cloud.limit_reason(account, after=ran)

    def _offload_first(self, request: OffloadRequest, account: CostAccount) -> _Outcome:
        """Return the cloud's answer, which is requested before any capacity runs.

        If the cloud gives no answer, the device answers.
        """
        result = self._cloud.answer(request, account)
        if isinstance(result, NoAnswer):
            return _kept(self._student.answer(request.window, account), result.reason)
        answer = self._belief.after_answer(result, None)
        return _Outcome(answer=answer, capacity=0, reason=receipt_pb2.REASON_GATED, local=None)

    def _offload_at_gate(
        self, request: OffloadRequest, local: LocalAnswer, account: CostAccount
    ) -> _Outcome:
        """Return the cloud's answer, which is requested before the larger capacity runs.

        If the cloud gives no answer, the device answers. The larger capacity then runs only if it
        is expected to improve the first capacity's answer enough.
        """
        outcome = self._offload(request, local, receipt_pb2.REASON_GATED, account)
        if not outcome.capacity:
            return outcome
        return _kept(self._student.run_larger(request.window, local, account), outcome.reason)

    def _offload(
        self,
        request: OffloadRequest,
        local: LocalAnswer,
        reason: Reason.ValueType,
        account: CostAccount,
    ) -> _Outcome:
        """Return the cloud's answer or, if it gives none, the device's answer so far."""
        request = dataclasses.replace(request, device_answer=local.answer)
        result = self._cloud.answer(request, account)
        if isinstance(result, NoAnswer):
            return _kept(local, result.reason)
        answer = self._belief.after_answer(result, local.cloud_right)
        return _Outcome(answer=answer, capacity=0, reason=reason, local=local)


def _kept(local: LocalAnswer, reason: Reason.ValueType) -> _Outcome:
    return _Outcome(answer=local.answer, capacity=local.capacity, reason=reason, local=local)
