"""The agent: the way of one input, from the source to an answer with a receipt in the outbox."""

import dataclasses
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestling.v1 import receipt_pb2
from nestling.v1.budget_pb2 import Budget
from nestling.v1.bundle_pb2 import RoutingCurve
from nestling.v1.receipt_pb2 import Reason, Receipt, Route
from nestling_core.clock import unix_ms
from nestling_core.routing.admission import offload_bytes, transfer_ms
from nestling_device.bundle.calibration import cascade_to, curve_of
from nestling_device.bundle.loaded_bundle import LoadedBundle
from nestling_device.bundle.multiplexer import success
from nestling_device.delivery.bundle_source import DeliveryError
from nestling_device.energy.measured_costs import MeasuredCosts
from nestling_device.energy.meter import Meter
from nestling_device.errors import DeviceError
from nestling_device.inference import policy
from nestling_device.inference.cloud_client import Cloud, NoAnswer
from nestling_device.inference.cost_account import CostAccount
from nestling_device.inference.drift import DriftDetector, rank_of
from nestling_device.inference.expected_costs import capacity_costs, kept_input
from nestling_device.inference.limit_notices import LimitNotices
from nestling_device.inference.limits import NOT_ASKED, CapacityCost, capacity_excess
from nestling_device.inference.offloader import Offloader, OffloadRequest
from nestling_device.inference.target_controller import (
    InputCost,
    Target,
    TargetController,
    target_of,
)

_log = logging.getLogger(__name__)

_DRIFTS = (
    "inputs are harder than those that the bundle was calibrated on; its promises do not hold, and "
    "with a tolerated risk everything goes to the cloud"
)
_DRIFTS_NO_MORE = "inputs are like those that the bundle was calibrated on again"

Window = NDArray[np.float32]
Floats = NDArray[np.float32]


class InputError(DeviceError):
    """An input that the bundle's task cannot take."""


class UnanswerableError(InputError):
    """One input, of the right shape, that there is no answer to; the next one may have one."""


class _OwnAnswer(NamedTuple):
    """The device's answer, the capacity that gave it, and what is believed of every option."""

    answer: int
    capacity: int
    right: Floats

    def gained(self, capacity: int) -> float:
        """What the cloud is believed to be better by than a capacity.

        In float32, as the cloud that found the thresholds has it.
        """
        return float(self.right[-1] - self.right[capacity - 1])


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """An answer and where it came from.

    Attributes:
        answer: class.
        capacity: that gave it, 0 for the cloud.
        reason: why there.
        own: the device's last answer, None where no student ran.
    """

    answer: int
    capacity: int
    reason: Reason.ValueType
    own: _OwnAnswer | None


class Agent:
    """Answers inputs one after another; for one thread.

    Args:
        parts: the active bundle.
        offloader: asks the cloud.
        meter: tells what each step took.
        deadline_ms: when an offload has to be answered, by the clock.
        keep: stores a receipt durably before the answer is given.
        grow: called with a memory budget in bytes that admits more of the nest than is held, or
            where some of it is damaged; returns the same bundle with it, or raises DeliveryError.
        costs: what was measured on this machine; the meter's estimates stand in for the rest.
    """

    def __init__(
        self,
        parts: LoadedBundle,
        offloader: Offloader,
        meter: Meter,
        *,
        deadline_ms: float,
        keep: Callable[[Receipt], object],
        grow: Callable[[int], LoadedBundle],
        costs: MeasuredCosts | None = None,
    ) -> None:
        self._notices = LimitNotices()
        self._cloud = Cloud(offloader, meter, self._notices, deadline_ms=deadline_ms)
        self._meter = meter
        self._keep = keep
        self._grow = grow
        self._growth_pause = policy.Backoff()
        self._controller = TargetController()
        self._drift = DriftDetector()
        self._looked = False
        self._measured = costs
        self._parts: LoadedBundle
        self._costs: list[CapacityCost]
        self._adopt(parts)

    @property
    def parts(self) -> LoadedBundle:
        """The bundle in use."""
        return self._parts

    @property
    def drifting(self) -> bool | None:
        """Whether inputs are harder than those that the bundle was calibrated on.

        None where no student looked at the last one, as with a share of 1: nobody knows then.
        """
        return self._drift.noticed if self._looked else None

    def answer(self, index: int, window: Window, budget: Budget) -> Receipt:
        """Answer one input.

        Args:
            index: position in the source, from 0.
            window: float32 in the task's shape and units.
            budget: what the device may spend now.

        Returns:
            The receipt, already durable; `receipt.answer` is the class.

        Raises:
            InputError: another shape or type; nothing was recorded.
            UnanswerableError: not finite, or so large that the answer is not; nothing was recorded.
            StorageError: the receipt could not be kept.
            DeliveryError: not even the smallest capacity can be read from the disk any more.
        """
        self._check(window)
        started = time.perf_counter()
        self._looked = False
        self._fit(budget)
        account = CostAccount(self._meter, budget)
        question = OffloadRequest(window=window, index=index, device_answer=None)
        outcome = self._route(question, account)
        own = outcome.own
        receipt = Receipt(
            input_index=index,
            answered_at_ms=unix_ms(),
            bundle_version=self._parts.version,
            route=Route(capacity=outcome.capacity, reason=outcome.reason),
            answer=outcome.answer,
            device_answer=None if own is None else own.answer,
            resident_capacity=self._parts.nest.resident,
            wall_ms=(time.perf_counter() - started) * 1e3,
            budget=budget,
            success=None if own is None else self._success(own, budget),
        )
        account.enter(receipt, offload_bytes(window.shape))
        self._keep(receipt)
        return receipt

    def _check(self, window: Window) -> None:
        shape = tuple(self._parts.manifest.signature.shape)
        if window.shape != shape or window.dtype != np.float32:
            raise InputError(
                f"the input is {window.dtype} {window.shape}; "
                f"{self._parts.manifest.task} takes float32 {shape}"
            )
        if not np.isfinite(window).all():
            raise UnanswerableError("the input is not finite")

    def _fit(self, budget: Budget) -> None:
        """Make the capacity resident that the budget admits, fetching rings that are missing."""
        wanted = policy.resident_capacity(self._costs, len(self._costs), budget)
        if wanted > self._parts.held or self._start_damaged:
            self._try_to_grow(budget.memory_bytes)
        held = self._parts.held
        capacity = policy.resident_capacity(self._costs, held, budget)
        if capacity == 1:
            for excess in capacity_excess(self._costs[:1], budget):
                self._notices.smallest_capacity(excess)
        self._load(capacity, budget)

    def _try_to_grow(self, memory_bytes: int) -> None:
        if not self._growth_pause.over:
            self._growth_pause = self._growth_pause.after_input()
            return
        try:
            grown = self._grow(memory_bytes)
        except DeliveryError as err:
            _log.info("the nest does not grow yet: %s", err)
            self._growth_pause = self._growth_pause.after_failure()
            return
        self._adopt(grown)
        self._growth_pause = policy.Backoff()

    def _load(self, capacity: int, budget: Budget) -> None:
        """Load a capacity, and the one to begin with where memory admits both.

        A ring damaged on the disk costs those that need it, until it is fetched; so does the
        template of the one to begin with.
        """
        for smaller in range(capacity, 0, -1):
            cascade = cascade_to(self._parts.calibration, smaller)
            wanted = 0 if self._start_damaged else cascade.start
            start = policy.start_capacity(self._costs, smaller, wanted, budget)
            # Where the start is damaged, the larger one may be whole.
            for first in sorted({start, smaller}):
                try:
                    self._parts.nest.load(smaller, first)
                except DeliveryError as err:
                    if smaller == 1:
                        raise
                    _log.warning("capacity %d cannot be loaded: %s", smaller, err)
                else:
                    self._start_damaged |= first != start
                    return
            self._parts = dataclasses.replace(self._parts, held=smaller - 1)

    def _adopt(self, parts: LoadedBundle) -> None:
        self._parts = parts
        self._start_damaged = False
        self._costs = capacity_costs(parts.manifest, parts.version, self._meter, self._measured)

    def _success(self, own: _OwnAnswer, budget: Budget) -> list[float]:
        found: list[float] = success(own.right, self._parts.manifest, budget).tolist()
        return found

    def _route(self, question: OffloadRequest, account: CostAccount) -> _Outcome:
        """Decide when the first capacity has run, and when the last one has.

        Whatever the cloud does there is an answer.
        """
        target = self._target(account.budget)
        outcome = self._choose(question, target, account)
        asked = outcome.reason != receipt_pb2.REASON_ACCEPTED
        if not (outcome.reason in NOT_ASKED or account.budget.tolerated_risk > 0):
            taken = InputCost(share=asked, energy=account.energy_mj, latency=account.latency_ms)
            self._controller = self._controller.after_input(target, taken)
        return outcome

    def _target(self, budget: Budget) -> Target:
        """The target, beside what inputs are expected to take here and now."""
        size = offload_bytes(self._parts.manifest.signature.shape)
        nest = self._parts.nest
        target = target_of(
            budget,
            kept=kept_input(self._costs, self._parts.calibration, nest.start, nest.resident),
            sent=InputCost(
                share=1,
                energy=self._meter.radio_mj(size, budget),
                latency=transfer_ms(size, budget),
            ),
        )
        if target.mean < target.kept and not budget.tolerated_risk > 0:
            self._notices.target(target)
        return target

    def _curve(self) -> RoutingCurve:
        nest = self._parts.nest
        return curve_of(self._parts.calibration, nest.start, nest.resident)

    def _choose(self, question: OffloadRequest, target: Target, account: CostAccount) -> _Outcome:
        """Device or cloud; limits were held against the device before."""
        skipped = self._cloud.skip_reason(question.window, account)
        if skipped is not None:
            return _kept(self._answer(question, account), skipped)
        thresholds = self._thresholds(target, account.budget)
        if policy.keeps_nothing(thresholds):
            return self._ask_unseen(question, account)
        own = self._look(question, account)
        preferred = False
        if own.capacity < self._parts.nest.resident:
            preferred = policy.prefers_cloud(own.gained(self._parts.nest.resident), thresholds.gate)
            if preferred and self._limit_reason(question, own, account) is None:
                return self._gate(question, own, account)
            own = self._run_larger(question, own, account)
        # No guarantee is for an input that the gate's threshold would have sent.
        if not preferred and not policy.prefers_cloud(own.gained(own.capacity), thresholds.accept):
            return _kept(own, receipt_pb2.REASON_ACCEPTED)
        limit = self._limit_reason(question, own, account)
        if limit is not None:
            return _kept(own, limit)
        return self._ask(question, own, receipt_pb2.REASON_ESCALATED, account)

    def _thresholds(self, target: Target, budget: Budget) -> policy.Thresholds:
        """Look up the thresholds that the budget asks for; log a risk that is not certified."""
        curve = self._curve()
        if budget.tolerated_risk > 0 and not policy.certified_thresholds(
            curve, budget.tolerated_risk
        ):
            self._notices.risk(curve, budget.tolerated_risk)
        share = self._controller.share_to_aim_at(target)
        return policy.thresholds_for_budget(curve, budget, share, drifting=self._drift.noticed)

    def _limit_reason(
        self, question: OffloadRequest, own: _OwnAnswer, account: CostAccount
    ) -> Reason.ValueType | None:
        """Name the limit that rules out an offload after what has run, None if none does.

        Counts expected costs, not measured ones, so that a replay decides the same.
        """
        ran = [self._costs[number - 1] for number in {self._parts.nest.start, own.capacity}]
        return self._cloud.limit_reason(question.window, account, after=ran)

    def _ask_unseen(self, question: OffloadRequest, account: CostAccount) -> _Outcome:
        """Ask the cloud; a student runs only if it has to."""
        found = self._cloud.answer(question, account)
        if isinstance(found, NoAnswer):
            return _kept(self._answer(question, account), found.reason)
        return _Outcome(answer=found, capacity=0, reason=receipt_pb2.REASON_GATED, own=None)

    def _gate(self, question: OffloadRequest, own: _OwnAnswer, account: CostAccount) -> _Outcome:
        """Ask the cloud; the larger capacity runs only if it has to."""
        outcome = self._ask(question, own, receipt_pb2.REASON_GATED, account)
        if not outcome.capacity:
            return outcome
        return _kept(self._run_larger(question, own, account), outcome.reason)

    def _ask(
        self,
        question: OffloadRequest,
        own: _OwnAnswer,
        reason: Reason.ValueType,
        account: CostAccount,
    ) -> _Outcome:
        """Ask the cloud; the device's answer stands if it has none."""
        found = self._cloud.answer(dataclasses.replace(question, device_answer=own.answer), account)
        if isinstance(found, NoAnswer):
            return _kept(own, found.reason)
        return _Outcome(answer=found, capacity=0, reason=reason, own=own)

    def _answer(self, question: OffloadRequest, account: CostAccount) -> _OwnAnswer:
        """Answer on the device."""
        return self._run_larger(question, self._look(question, account), account)

    def _look(self, question: OffloadRequest, account: CostAccount) -> _OwnAnswer:
        """Run the first capacity; how hard the input is goes into the account of drift."""
        nest = self._parts.nest
        own = self._run(question, nest.start, account)
        self._looked = True
        rank = rank_of(float(own.right[nest.resident - 1]), self._curve().believed)
        before, self._drift = self._drift, self._drift.after_input(rank)
        if self._drift.noticed != before.noticed:
            _log.info(_DRIFTS if self._drift.noticed else _DRIFTS_NO_MORE)
        return own

    def _run_larger(
        self, question: OffloadRequest, own: _OwnAnswer, account: CostAccount
    ) -> _OwnAnswer:
        """Run the resident capacity where the one that has run is not enough."""
        resident = self._parts.nest.resident
        if own.capacity == resident:
            return own
        gained = float(own.right[resident - 1] - own.right[own.capacity - 1])
        if not policy.runs_larger(gained, cascade_to(self._parts.calibration, resident).threshold):
            return own
        return self._run(question, resident, account)

    def _run(self, question: OffloadRequest, capacity: int, account: CostAccount) -> _OwnAnswer:
        entry = self._parts.manifest.capacities[capacity - 1]
        said = account.run(
            entry.macs, lambda: self._parts.nest.run(question.window[None], capacity)
        )
        if not (np.isfinite(said.logits).all() and np.isfinite(said.right).all()):
            raise UnanswerableError(
                f"the input, with values up to {np.abs(question.window).max():.3g}, is too large: "
                f"what capacity {capacity} makes of it is not finite"
            )
        return _OwnAnswer(int(said.logits[0].argmax()), capacity, said.right[0])


def _kept(own: _OwnAnswer, reason: Reason.ValueType) -> _Outcome:
    return _Outcome(answer=own.answer, capacity=own.capacity, reason=reason, own=own)
