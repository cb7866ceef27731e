"""Takes each input along its route, by the rules in `policy`, `limits` and `field_guarantee`.

If the cloud gives no answer, the device answers.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nestling.v1 import receipt_pb2
from nestling.v1.budget_pb2 import Budget
from nestling.v1.receipt_pb2 import FollowUp, Reason
from nestling_core.guarantee.shadow_beliefs import judge
from nestling_core.kinds.kind import Kind
from nestling_device.inference import policy
from nestling_device.inference.capacity_loader import CapacityLoader
from nestling_device.inference.cloud_client import Cloud, NoAnswer
from nestling_device.inference.cost_account import CostAccount
from nestling_device.inference.field_guarantee import CascadeKey, FieldGuarantee
from nestling_device.inference.offload_target import OffloadTarget
from nestling_device.inference.offloader import OffloadRequest
from nestling_device.inference.outcome import NOT_FOLLOWED, AuditOfThresholds, Outcome, Shadows
from nestling_device.inference.stream_belief import StreamBelief
from nestling_device.inference.student import LocalAnswer, Student
from nestling_device.inference.target_controller import Target
from nestling_device.inference.verdict import verdict_on


class Router:
    """Answers inputs on the device or in the cloud.

    Args:
        kind: the kind of the task.
        loader: the loader that keeps the capacities in memory.
        student: the student, which runs the loaded capacities.
        belief: the belief about the stream, which the student updates.
        cloud: the connection to the cloud, with its pauses.
        target: the target of the budget.
        guarantee: the certifications of a tolerated risk.
        draw: a function that returns random numbers, at least 0 and below 1, which decide about
            audits.
    """

    def __init__(
        self,
        *,
        kind: Kind,
        loader: CapacityLoader,
        student: Student,
        belief: StreamBelief,
        cloud: Cloud,
        target: OffloadTarget,
        guarantee: FieldGuarantee,
        draw: Callable[[], float],
    ) -> None:
        self._kind = kind
        self._loader = loader
        self._student = student
        self._belief = belief
        self._cloud = cloud
        self._target = target
        self._guarantee = guarantee
        self._draw = draw
        self._now_ms = 0

    def answer(self, request: OffloadRequest, account: CostAccount, now_ms: int) -> Outcome:
        """Answer an input, and update the target controller with the cost of the answer.

        Args:
            request: the input.
            account: the cost account of the input.
            now_ms: the current Unix time, in milliseconds.

        Raises:
            UnanswerableError: the student's output is not finite.
        """
        self._now_ms = now_ms
        budget, key = account.budget, self._loaded()
        target = self._target.of(budget, self._cloud.size_bytes)
        useful = self._target.is_useful(target, budget)
        certifies = self._guarantee.begin(self._loader.curve(), key, budget, now_ms, useful=useful)
        self._student.begin(
            budget,
            rows=len(self._guarantee.rows) if certifies else 1,
            in_use=self._guarantee.in_use if certifies else 0,
        )
        skipped = self._cloud.skip_reason(account, now_ms)
        if certifies:
            outcome = self._certify(request, skipped, account)
        else:
            outcome = self._choose(request, skipped, target, account)
        charged = self._target.after_input(
            target,
            account,
            outcome.reason,
            offloaded=outcome.offloaded,
            deferred=outcome.follow_up == receipt_pb2.FOLLOW_UP_DEFERRED,
        )
        return dataclasses.replace(outcome, charged=charged)

    def _certify(
        self, request: OffloadRequest, skipped: Reason.ValueType | None, account: CostAccount
    ) -> Outcome:
        """Answer an input under a tolerated risk, by the threshold that is certified.

        No input is sent before the larger capacity of a cascade has run, because all thresholds
        are judged by the device's last answer.
        """
        # Whether the cloud could be asked must not depend on the input, or the evidence would not
        # be about all inputs that are kept by choice. So it is as if the larger capacity ran.
        limit = skipped or self._limit_after({*self._loaded()}, account)
        local = self._student.answer(request.window, account)
        kept, shadows = self._judge(local)
        keeps = bool(kept[self._guarantee.in_use])
        if limit:
            hard = not keeps and account.budget.defer
            return self._keep(
                local, limit, receipt_pb2.FOLLOW_UP_DEFERRED if hard else NOT_FOLLOWED
            )
        audited = self._guarantee.draws(self._draw())
        audit = AuditOfThresholds(
            block=self._guarantee.block,
            kept=kept[1:],
            shadows=None if shadows is None else Shadows(shadows.answers[1:], shadows.sure[1:]),
        )
        if keeps:
            self._guarantee.after_input(self._now_ms, audited=audited)
            reason, why = receipt_pb2.REASON_ACCEPTED, receipt_pb2.FOLLOW_UP_AUDIT
            return self._keep(local, reason, why, audit) if audited else self._keep(local, reason)
        return self._send_and_judge(request, local, kept, audit, account, audited=audited)

    def _send_and_judge(
        self,
        request: OffloadRequest,
        local: LocalAnswer,
        kept: NDArray[np.bool_],
        audit: AuditOfThresholds,
        account: CostAccount,
        *,
        audited: bool,
    ) -> Outcome:
        """Send an input, and learn from the cloud's answer what it shows about the thresholds."""
        request = dataclasses.replace(request, device_answer=local.answer)
        result = self._cloud.answer(request, account)
        if isinstance(result, NoAnswer):
            self._guarantee.after_input(self._now_ms, audited=audited)
            why = receipt_pb2.FOLLOW_UP_DEFERRED
            if audited:  # its verdict has to come, or it would count as a change
                return self._keep(local, result.reason, why, audit)
            return self._keep(local, result.reason, why if account.budget.defer else NOT_FOLLOWED)
        verdict = verdict_on(audit, self._loader.curve(), self._kind, local.answer, result)
        self._guarantee.after_input(self._now_ms, audited=audited, verdict=verdict)
        answer = self._belief.after_answer(result, local.cloud_right, kept)
        return Outcome(answer=answer, capacity=0, reason=receipt_pb2.REASON_ESCALATED, local=local)

    def _judge(self, local: LocalAnswer) -> tuple[NDArray[np.bool_], Shadows | None]:
        """Return which rows would keep the input, and what each of them believes."""
        rows, sure = self._guarantee.rows, self._belief.sure
        if sure is None:
            return local.cloud_gain <= rows, None
        judged = judge(sure, local.cloud_right, rows)
        return judged.kept, Shadows(judged.answers, sure)

    def _choose(
        self,
        request: OffloadRequest,
        skipped: Reason.ValueType | None,
        target: Target,
        account: CostAccount,
    ) -> Outcome:
        """Return the answer of the device or of the cloud, using the capacities that are loaded."""
        thresholds = self._target.thresholds(target, account.budget)
        if skipped is not None:
            local = self._student.answer(request.window, account)
            return self._kept(local, skipped, thresholds, account.budget)
        if policy.keeps_nothing(thresholds):
            return self._offload_first(request, account)
        local = self._student.run_first(request.window, account)
        gated = False
        resident = self._loader.bundle.nest.resident
        if local.capacity < resident:
            gated = policy.prefers_cloud(local.cloud_gain_over(resident), thresholds.gate)
            if gated and self._limit_reason(local, account) is None:
                return self._offload_at_gate(request, local, account)
            local = self._student.run_larger(request.window, local, account)
        if not gated and not policy.prefers_cloud(local.cloud_gain, thresholds.accept):
            return self._accept(local, account.budget)
        limit = self._limit_reason(local, account)
        if limit is not None:
            return self._later(local, limit, account.budget)
        return self._offload(request, local, receipt_pb2.REASON_ESCALATED, account)

    def _limit_reason(self, local: LocalAnswer, account: CostAccount) -> Reason.ValueType | None:
        """Return the reason for the receipt if a limit rules out an offload, or None otherwise.

        Limits are compared with the expected costs of the runs so far. Their measured costs vary,
        so a replay that used them could decide differently.
        """
        return self._limit_after({self._loader.bundle.nest.start, local.capacity}, account)

    def _limit_after(self, ran: set[int], account: CostAccount) -> Reason.ValueType | None:
        """Return the reason if a limit rules out an offload after these capacities have run."""
        costs = [self._loader.costs[number - 1] for number in ran]
        return self._cloud.limit_reason(account, after=costs)

    def _loaded(self) -> CascadeKey:
        nest = self._loader.bundle.nest
        return CascadeKey(nest.start, nest.resident)

    def _offload_first(self, request: OffloadRequest, account: CostAccount) -> Outcome:
        """Return the cloud's answer, which is requested before any capacity runs."""
        result = self._cloud.answer(request, account)
        if isinstance(result, NoAnswer):
            local = self._student.answer(request.window, account)
            return self._later(local, result.reason, account.budget)
        answer = self._belief.after_answer(result, None)
        return Outcome(answer=answer, capacity=0, reason=receipt_pb2.REASON_GATED, local=None)

    def _offload_at_gate(
        self, request: OffloadRequest, local: LocalAnswer, account: CostAccount
    ) -> Outcome:
        """Return the cloud's answer, which is requested before the larger capacity runs.

        If the cloud gives no answer, the larger capacity runs only if it is expected to improve the
        first capacity's answer enough.
        """
        outcome = self._offload(request, local, receipt_pb2.REASON_GATED, account)
        if not outcome.capacity:
            return outcome
        local = self._student.run_larger(request.window, local, account)
        return self._later(local, outcome.reason, account.budget)

    def _offload(
        self,
        request: OffloadRequest,
        local: LocalAnswer,
        reason: Reason.ValueType,
        account: CostAccount,
    ) -> Outcome:
        """Return the cloud's answer or, if it gives none, the device's answer so far."""
        request = dataclasses.replace(request, device_answer=local.answer)
        result = self._cloud.answer(request, account)
        if isinstance(result, NoAnswer):
            return self._later(local, result.reason, account.budget)
        answer = self._belief.after_answer(result, local.cloud_right)
        return Outcome(answer=answer, capacity=0, reason=reason, local=local)

    def _kept(
        self,
        local: LocalAnswer,
        reason: Reason.ValueType,
        thresholds: policy.Thresholds,
        budget: Budget,
    ) -> Outcome:
        """Return the device's answer to an input about which the cloud cannot be asked now."""
        if policy.prefers_cloud(local.cloud_gain, thresholds.accept):
            return self._later(local, reason, budget)
        return self._keep(local, reason)

    def _later(self, local: LocalAnswer, reason: Reason.ValueType, budget: Budget) -> Outcome:
        """Return the device's answer to a hard input, which waits for the cloud if asked to."""
        deferred = receipt_pb2.FOLLOW_UP_DEFERRED if budget.defer else NOT_FOLLOWED
        return self._keep(local, reason, deferred)

    def _accept(self, local: LocalAnswer, budget: Budget) -> Outcome:
        """Return the device's answer, which is audited with the budget's share."""
        audited = self._draw() < budget.audit_share
        why = receipt_pb2.FOLLOW_UP_AUDIT if audited else NOT_FOLLOWED
        return self._keep(local, receipt_pb2.REASON_ACCEPTED, why)

    def _keep(
        self,
        local: LocalAnswer,
        reason: Reason.ValueType,
        follow_up: FollowUp.ValueType = NOT_FOLLOWED,
        audit: AuditOfThresholds | None = None,
    ) -> Outcome:
        return Outcome(
            answer=local.answer,
            capacity=local.capacity,
            reason=reason,
            local=local,
            follow_up=follow_up,
            prediction=self._belief.prediction,
            sure=self._belief.sure_in_use,
            audit=audit,
        )
