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

`router` takes steps 2 to 4. After an answer, `Agent.catch_up` asks the cloud about earlier inputs
that wait for it.
"""

import random
import time
from collections.abc import Callable

from nestling.v1.budget_pb2 import Budget
from nestling.v1.receipt_pb2 import Receipt, Route
from nestling.v1.stream_pb2 import PendingInput, StreamState
from nestling_core.clock import unix_ms
from nestling_core.kinds.kind import agree
from nestling_core.kinds.of_signature import kind_of
from nestling_device.bundle.loaded_bundle import LoadedBundle
from nestling_device.bundle.multiplexer import success
from nestling_device.energy.measured_costs import MeasuredCosts
from nestling_device.energy.meter import Meter
from nestling_device.inference.capacity_loader import CapacityLoader
from nestling_device.inference.cloud_client import Cloud
from nestling_device.inference.cost_account import CostAccount
from nestling_device.inference.field_guarantee import CascadeKey, FieldGuarantee, GuaranteeStatus
from nestling_device.inference.follow_ups import FollowUps, Revision
from nestling_device.inference.input_check import Window, check_input
from nestling_device.inference.journal import MOST_PENDING, Journal
from nestling_device.inference.limit_notices import LimitNotices
from nestling_device.inference.offload_target import OffloadTarget
from nestling_device.inference.offloader import Offloader, OffloadRequest
from nestling_device.inference.outcome import Outcome
from nestling_device.inference.pending_message import pending_message
from nestling_device.inference.router import Router
from nestling_device.inference.stream_belief import StreamBelief
from nestling_device.inference.stream_state import Stream, controller_of, detector_of
from nestling_device.inference.student import LocalAnswer, Student
from nestling_device.sources.source import Origin

# If so many inputs in a row come after pauses, this is logged: the belief is of no use then.
_NOTICED_PAUSES = 5


class Agent:
    """Answers inputs one after another.

    An agent is not thread-safe.

    Args:
        bundle: the active bundle.
        offloader: the connection that sends inputs to the cloud.
        meter: the meter that estimates or measures the time and energy of each step.
        deadline_ms: the longest wait for the cloud's answer, in wall-clock milliseconds.
        journal: the store of receipts, of the state of the stream, and of inputs to ask the cloud
            about later.
        grow: a function that fetches missing files of the bundle. Its argument is the memory budget
            in bytes. It is called when the budget admits more capacities than the device has, or
            when a file of the bundle is damaged. It returns the same bundle with the missing files,
            or raises DeliveryError.
        costs: the costs measured on this machine, or None if there are none. The meter estimates
            the costs that were not measured.
        stream: the stream of inputs, with the state to continue with.
        draw: a function that returns random numbers, at least 0 and below 1, which vary the pauses
            after failed offloads and decide which answers are audited.
    """

    def __init__(
        self,
        bundle: LoadedBundle,
        offloader: Offloader,
        meter: Meter,
        *,
        deadline_ms: float,
        journal: Journal,
        grow: Callable[[int], LoadedBundle],
        costs: MeasuredCosts | None = None,
        stream: Stream = Stream(),  # noqa: B008 - immutable
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._notices = LimitNotices()
        self._cloud = Cloud(offloader, meter, self._notices, deadline_ms=deadline_ms, draw=draw)
        self._meter = meter
        self._journal = journal
        self._stream, self._pauses = stream, 0
        self._state = stream.state_for(bundle.version)
        self._loader = CapacityLoader(bundle, meter, self._notices, grow=grow, measured=costs)
        self._target = OffloadTarget(self._loader, meter, self._notices, controller_of(self._state))
        self._kind = kind_of(bundle.manifest.signature)
        self._belief = StreamBelief(self._kind)
        self._belief.resume(self._state)
        self._student = Student(self._loader, self._belief, detector_of(self._state))
        pending = journal.pending(MOST_PENDING) if self._state.guarantees else []
        waiting = [
            one.content
            for one in pending
            if one.content is not None and one.content.bundle_version == bundle.version
        ]
        self._guarantee = FieldGuarantee(bundle.calibration, self._state, waiting)
        self._router = Router(
            kind=self._kind,
            loader=self._loader,
            student=self._student,
            belief=self._belief,
            cloud=self._cloud,
            target=self._target,
            guarantee=self._guarantee,
            draw=draw,
        )
        self._follow_ups = FollowUps(
            bundle=bundle,
            journal=journal,
            cloud=self._cloud,
            belief=self._belief,
            target=self._target,
            guarantee=self._guarantee,
        )
        self._awake = False

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

    @property
    def guarantee(self) -> GuaranteeStatus | None:
        """The tolerated risk, and whether it is guaranteed now.

        The value is None before the first input. It is also None if no risk was tolerated for the
        last input, or if none could be certified.
        """
        return self._guarantee.status

    @property
    def pending(self) -> int:
        """The number of answered inputs that the cloud is still to be asked about."""
        return self._follow_ups.waiting

    def answer(
        self,
        index: int,
        window: Window,
        budget: Budget,
        origin: Origin = Origin(),  # noqa: B008 - immutable
    ) -> Receipt:
        """Answer one input and store its receipt.

        Args:
            index: the position of the input in the source, from 0.
            window: the input, float32 in the task's shape and units.
            budget: the limits and targets for this input.
            origin: where the input came from, which is named again if its answer is revised.

        Returns:
            The receipt, already stored.

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
        self._continue_stream(now_ms)
        account = CostAccount(self._meter, budget)
        request = OffloadRequest(window=window, index=index, device_answer=None)
        outcome = self._router.answer(request, account, now_ms)
        local = outcome.local
        receipt = Receipt(
            input_index=index,
            answered_at_ms=now_ms,
            bundle_version=self.bundle.version,
            route=Route(capacity=outcome.capacity, reason=outcome.reason),
            answer=outcome.answer.code,
            values=outcome.answer.values,
            device_answer=None if local is None else local.answer.code,
            device_values=() if local is None else local.answer.values,
            agreement=self._agreement(outcome),
            device_confidence=0.0 if local is None else local.confidence,
            resident_capacity=self.bundle.nest.resident,
            wall_ms=(time.perf_counter() - started) * 1e3,
            budget=budget,
            success=None if local is None else self._success(local, budget),
            follow_up=outcome.follow_up,
        )
        account.enter(receipt, self._cloud.size_bytes)
        self._awake = receipt.bytes_down > 0
        self._store(receipt, outcome, window, origin)
        return receipt

    def catch_up(self, budget: Budget, *, hurry: bool = False) -> list[Revision]:
        """Ask the cloud about earlier inputs that wait for it, if that is due.

        Call this after every answer has been delivered, and now and then while there are no inputs.
        It waits for the cloud for at most two seconds or the deadline of an offload, whichever is
        longer.

        Args:
            budget: the limits and targets in force.
            hurry: whether to ask even if more inputs could be sent together later. Pauses and
                limits still apply.

        Returns:
            The follow-ups, already stored.

        Raises:
            StorageError: the follow-ups could not be stored.
        """
        now_ms = unix_ms()
        awake, self._awake = self._awake, False
        found, removed = self._follow_ups.take(budget, now_ms, awake=awake, hurry=hurry)
        if removed:
            receipts = [one.receipt for one in found]
            source = self._state.source  # until the next answer, the belief is about this one
            self._state = self._saved_state(self._state.answered_at_ms)
            self._state.source = source
            self._journal.append(*receipts, stream_state=self._state, removed=removed)
            self._follow_ups.waiting -= len(removed)
        return found

    def _store(self, receipt: Receipt, outcome: Outcome, window: Window, origin: Origin) -> None:
        """Store a receipt, and its input if the cloud is to be asked about it later."""
        added: list[PendingInput] = []
        overflow: list[Receipt] = []
        removed: list[int] = []
        now_ms = receipt.answered_at_ms
        if outcome.follow_up:
            nest = self.bundle.nest
            key = CascadeKey(nest.start, nest.resident)
            added = [pending_message(receipt, outcome, window, origin, key)]
            overflow, removed = self._follow_ups.overflow(now_ms, receipt.budget)
        self._state = self._saved_state(now_ms)
        self._journal.append(
            receipt, *overflow, stream_state=self._state, added=added, removed=removed
        )
        self._follow_ups.waiting += len(added) - len(removed)

    def _saved_state(self, answered_at_ms: int) -> StreamState:
        state = self._stream.saved(
            self.bundle.version,
            answered_at_ms,
            self._belief,
            self._target.controller,
            self._student.drift,
        )
        self._guarantee.save(state)
        return state

    def _continue_stream(self, now_ms: int) -> None:
        """Drop the belief about the stream if the next input does not belong to it."""
        if self._stream.continues(self._state, now_ms):
            self._pauses = 0
            return
        self._belief.forget_stream()
        self._pauses += 1
        if self._pauses == _NOTICED_PAUSES:
            self._notices.pauses(self._stream.gap_s)

    def _agreement(self, outcome: Outcome) -> float | None:
        """Return whether the cloud agrees with the device, 0 or 1, or None if one is unknown."""
        if outcome.local is None or outcome.capacity:
            return None
        return float(agree(self._kind, outcome.local.answer, outcome.answer))

    def _success(self, local: LocalAnswer, budget: Budget) -> list[float]:
        size, manifest = self._cloud.size_bytes, self.bundle.manifest
        found: list[float] = success(
            local.right, manifest, budget, offload_size_bytes=size
        ).tolist()
        return found
