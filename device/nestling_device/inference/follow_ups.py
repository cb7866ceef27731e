"""Asks the cloud later about inputs that the device has answered, and revises their answers.

Two kinds of inputs wait for the cloud: hard ones that it did not answer at once (deferred), and
ones that were drawn at random from the kept answers (audits). They wait in the outbox's file.
Several are sent together, so that the radio wakes up once.
"""

from collections.abc import Sequence
from typing import NamedTuple

from nestling.v1 import receipt_pb2
from nestling.v1.budget_pb2 import Budget
from nestling.v1.receipt_pb2 import Reason, Receipt
from nestling.v1.stream_pb2 import PendingInput
from nestling_core.belief.reliability import Prediction
from nestling_core.kinds.kind import agree, answer_of
from nestling_core.kinds.of_signature import kind_of
from nestling_device.bundle.calibration import curve_of
from nestling_device.bundle.loaded_bundle import LoadedBundle
from nestling_device.inference.cloud_client import Cloud, Exchange
from nestling_device.inference.field_guarantee import CascadeKey, FieldGuarantee
from nestling_device.inference.follow_up_costs import FollowUpCosts
from nestling_device.inference.journal import MOST_PENDING, Journal
from nestling_device.inference.offload_target import OffloadTarget
from nestling_device.inference.offloader import (
    BadAnswerError,
    CloudAnswer,
    DeadlineMissedError,
    OffloadError,
)
from nestling_device.inference.pending_message import (
    answer_in,
    audit_in,
    fits,
    origin_of,
    request_of,
    revised_answer,
)
from nestling_device.inference.stream_belief import StreamBelief
from nestling_device.inference.verdict import verdict_on
from nestling_device.sources.source import Origin
from nestling_device.telemetry.pending_inputs import Pending

# The largest number of inputs that are sent together, and the number that is worth sending.
_TOGETHER = 16
_ENOUGH = 8
# Longest time that inputs wait for others to be sent with.
_PATIENCE_MS = 60_000
_LONGEST_DELAY_MS = 1_000_000_000  # 11 days: a clock may jump by more, but no input waits so long


class Revision(NamedTuple):
    """A follow-up of an answer.

    Attributes:
        receipt: the receipt of the follow-up, already stored.
        origin: where the input came from.
    """

    receipt: Receipt
    origin: Origin


def is_due(waiting: int, oldest_ms: int, now_ms: int, *, awake: bool, urgent: bool) -> bool:
    """Return whether to ask the cloud about the waiting inputs now.

    Args:
        waiting: the number of waiting inputs.
        oldest_ms: the Unix time at which the oldest of them was answered, in milliseconds.
        now_ms: the current Unix time, in milliseconds.
        awake: whether the radio is awake, because the current input was sent.
        urgent: whether something waits for the answers.
    """
    waited_ms = abs(now_ms - oldest_ms)  # the clock may have been set back
    return waiting > 0 and (awake or urgent or waiting >= _ENOUGH or waited_ms >= _PATIENCE_MS)


class FollowUps:
    """The queue of inputs that the cloud is still to be asked about.

    `waiting` is the number of these inputs. The caller updates it after storing a change.

    Args:
        bundle: the bundle that answers.
        journal: the store of the queue.
        cloud: the connection to the cloud, with its pauses.
        belief: the belief, whose confidence the answers correct.
        target: the target that is charged with each follow-up, unless it was charged in advance.
        guarantee: the certifications for which audits are evidence.
    """

    def __init__(
        self,
        *,
        bundle: LoadedBundle,
        journal: Journal,
        cloud: Cloud,
        belief: StreamBelief,
        target: OffloadTarget,
        guarantee: FieldGuarantee,
    ) -> None:
        self._version, self._manifest = bundle.version, bundle.manifest
        self._kind = kind_of(bundle.manifest.signature)
        self._calibration = bundle.calibration
        self._journal = journal
        self._cloud = cloud
        self._belief = belief
        self._target = target
        self._guarantee = guarantee
        self._spent = FollowUpCosts()
        self._together = _TOGETHER
        self._oldest_ms = 0  # when the oldest input was answered; 0 if unknown
        self._answered_before = 0  # answers of the cloud before the newest group
        self._refused: dict[int, int] = {}  # as above, at the first refusal of each input
        self.waiting = journal.pending_count()

    def overflow(self, now_ms: int, budget: Budget) -> tuple[list[Receipt], list[int]]:
        """Let the oldest inputs expire if there is no room for one more.

        Args:
            now_ms: the current Unix time, in milliseconds.
            budget: the budget in force.

        Returns:
            The receipts to store, and the numbers of the inputs to remove from the queue.
        """
        too_many = self.waiting + 1 - MOST_PENDING
        oldest = self._journal.pending(too_many) if too_many > 0 else []
        receipts = [self._expire(one.content, now_ms, budget) for one in oldest if one.content]
        return receipts, [one.number for one in oldest]

    def take(
        self, budget: Budget, now_ms: int, *, awake: bool, hurry: bool
    ) -> tuple[list[Revision], list[int]]:
        """Ask the cloud about the oldest inputs if that is due.

        The caller stores the follow-ups, and removes the inputs from the queue, in one transaction.

        Args:
            budget: the limits and targets in force.
            now_ms: the current Unix time, in milliseconds.
            awake: whether the radio is awake.
            hurry: whether to ask without waiting for more inputs. Pauses and limits still apply.

        Returns:
            The follow-ups, and the numbers of the inputs that are settled.
        """
        urgent = hurry or self._guarantee.waits
        if not is_due(self.waiting, self._oldest_ms, now_ms, awake=awake, urgent=urgent):
            return [], []
        oldest = self._oldest()
        stale = [one for one in oldest if one.content is None or self._is_stale(one.content)]
        if stale:
            found = [
                Revision(self._expire(one.content, now_ms, budget), origin_of(one.content))
                for one in stale
                if one.content is not None
            ]
            numbers = [one.number for one in stale]
            if any(one.content is None for one in stale):
                self._guarantee.count_lost(self._others(numbers), now_ms)
            return found, numbers
        self._oldest_ms = _message(oldest[0]).answered_at_ms
        if not is_due(self.waiting, self._oldest_ms, now_ms, awake=awake, urgent=urgent):
            return [], []
        if self._cloud.pauses_later(now_ms) or not self._cloud.admits_later(len(oldest), budget):
            return [], []
        return self._ask(oldest, budget, now_ms)

    def _oldest(self) -> list[Pending]:
        """Return the inputs to ask about next: the oldest ones, with refused ones last."""
        found = self._journal.pending(self._together + len(self._refused))
        found.sort(key=lambda one: one.number in self._refused)
        return found[: self._together]

    def _others(self, numbers: Sequence[int]) -> list[PendingInput]:
        """Return this bundle's waiting inputs except those with the given numbers."""
        return [
            one.content
            for one in self._journal.pending(MOST_PENDING)
            if one.number not in numbers
            and one.content is not None
            and one.content.bundle_version == self._version
        ]

    def _is_stale(self, message: PendingInput) -> bool:
        """Return whether the cloud cannot be asked any more."""
        return message.bundle_version != self._version or not fits(message, self._manifest)

    def _ask(
        self, entries: Sequence[Pending], budget: Budget, now_ms: int
    ) -> tuple[list[Revision], list[int]]:
        messages = [_message(entry) for entry in entries]
        requests = [request_of(message, self._manifest) for message in messages]
        self._answered_before = self._cloud.answered
        exchange = self._cloud.answer_all(requests, budget, now_ms)
        settled = [
            (entry.number, message, result)
            for entry, message, result in zip(entries, messages, exchange.results, strict=True)
            if isinstance(result, CloudAnswer) or self._is_refused(entry.number, result)
        ]
        self._spent.add(exchange)
        self._resize(exchange)
        found = []
        for _, message, result in settled:
            receipt = self._settle(message, result, budget, now_ms)
            self._spent.enter(receipt, len(settled))
            found.append(Revision(receipt, origin_of(message)))
        if settled:
            self._spent = FollowUpCosts()
        numbers = [number for number, _, _ in settled]
        for number in numbers:
            self._refused.pop(number, None)
        self._oldest_ms = 0 if numbers else self._oldest_ms
        return found, numbers

    def _is_refused(self, number: int, result: CloudAnswer | OffloadError) -> bool:
        """Return whether the cloud refuses an input, while it answers others.

        A cloud that answers nothing may be broken, and may answer the input once it is fixed.
        """
        if not isinstance(result, BadAnswerError):
            return False
        return self._cloud.answered > self._refused.setdefault(number, self._answered_before)

    def _resize(self, exchange: Exchange) -> None:
        """Send fewer inputs together if the link is too slow for so many by the deadline."""
        late = sum(isinstance(one, DeadlineMissedError) for one in exchange.results)
        if late == len(exchange.results):
            self._together = max(1, late // 2)
        elif all(isinstance(one, CloudAnswer) for one in exchange.results):
            self._together = min(_TOGETHER, 2 * self._together)

    def _settle(
        self,
        message: PendingInput,
        result: CloudAnswer | OffloadError,
        budget: Budget,
        now_ms: int,
    ) -> Receipt:
        if not isinstance(result, CloudAnswer):
            return self._expire(message, now_ms, budget)
        key = CascadeKey(message.cascade_start, message.cascade_capacity)
        curve = curve_of(self._calibration, key.start, key.resident)
        own, cloud = answer_in(message), answer_of(self._kind, result.logits)
        audit = audit_in(message)
        if audit is not None:
            verdict = verdict_on(audit, curve, self._kind, own, result.logits)
            self._guarantee.after_verdict(
                key, message.block, verdict, now_ms, audit_share=budget.audit_share
            )
        if message.confidence > 0:
            prediction = Prediction(self._kind.group(own), message.confidence)
            agrees = agree(self._kind, own, cloud)
            self._belief.learn(prediction, message.cloud_right, agrees=agrees)
        drawn = message.follow_up == receipt_pb2.FOLLOW_UP_AUDIT
        if not message.charged:
            self._target.after_follow_up(budget, self._cloud.size_bytes)
        reason = receipt_pb2.REASON_AUDITED if drawn else receipt_pb2.REASON_DEFERRED
        receipt = self._receipt(message, reason, now_ms, budget)
        receipt.route.capacity = 0
        answer = revised_answer(message, curve, self._kind, result.logits)
        receipt.answer, receipt.agreement = answer.code, float(agree(self._kind, own, answer))
        receipt.values[:] = answer.values
        return receipt

    def _expire(self, message: PendingInput, now_ms: int, budget: Budget) -> Receipt:
        if message.block and message.bundle_version == self._version:
            key = CascadeKey(message.cascade_start, message.cascade_capacity)
            self._guarantee.after_verdict(
                key, message.block, None, now_ms, audit_share=budget.audit_share
            )
        return self._receipt(message, receipt_pb2.REASON_EXPIRED, now_ms, budget)

    def _receipt(
        self, message: PendingInput, reason: Reason.ValueType, now_ms: int, budget: Budget
    ) -> Receipt:
        """Return a follow-up that changes nothing yet, without any cost."""
        receipt = Receipt(
            input_index=message.input_index,
            answered_at_ms=now_ms,
            bundle_version=message.bundle_version,
            answer=message.answer,
            values=message.values,
            device_answer=message.answer,
            device_values=message.values,
            resident_capacity=message.cascade_capacity,
            latency_ms=min(max(0, now_ms - message.answered_at_ms), _LONGEST_DELAY_MS),
            latency_provenance=receipt_pb2.PROVENANCE_MEASURED,
            budget=budget,
            follow_up=message.follow_up,
            follows=message.follows,
        )
        receipt.route.capacity, receipt.route.reason = message.capacity, reason
        return receipt


def _message(entry: Pending) -> PendingInput:
    assert entry.content is not None  # damaged ones were set aside
    return entry.content
