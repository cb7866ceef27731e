"""Asks the cloud for answers on behalf of the agent.

`Cloud` determines whether the cloud is an option for an input. After a failed exchange, the cloud
is not an option for the next few inputs. If the cloud has reported an overload, it is not an option
either until the pause that it asked for is over. An exchange returns the cloud's logits, or the
reason why there are none.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestling.v1 import receipt_pb2
from nestling.v1.budget_pb2 import Budget
from nestling.v1.receipt_pb2 import Reason
from nestling_core.routing.admission import FRAMING_BYTES, offload_bytes
from nestling_device.energy.meter import Meter, StepCost
from nestling_device.inference.backoff import Backoff
from nestling_device.inference.cost_account import CostAccount
from nestling_device.inference.limit_notices import LimitNotices
from nestling_device.inference.limits import (
    REASONS,
    CapacityCost,
    energy_limit_mj,
    offload_excess,
)
from nestling_device.inference.offloader import (
    CloudAnswer,
    DeadlineMissedError,
    Offloader,
    OffloadError,
    OffloadRequest,
    OverloadedError,
    UnreachableError,
)

_log = logging.getLogger(__name__)

# A cloud cannot send devices away for longer than this.
_LONGEST_RETRY_MS = 60_000
# Answers that come later may take longer than those that an input waits for.
_LATER_DEADLINE_MS = 2000.0


class NoAnswer(NamedTuple):
    """The result of an offload for which the cloud gave no answer.

    Attributes:
        reason: the reason, which is recorded in the receipt of the device's own answer.
    """

    reason: Reason.ValueType


class Exchange(NamedTuple):
    """The results of asking the cloud about several inputs at once.

    Attributes:
        results: for each input, the cloud's answer, or the error if there is none.
        bytes_up: the number of bytes sent, including what failed exchanges are assumed to take.
        bytes_down: the number of bytes received.
        spent: the time and energy of the radio.
    """

    results: Sequence[CloudAnswer | OffloadError]
    bytes_up: int
    bytes_down: int
    spent: StepCost


class Cloud:
    """Asks the cloud for answers.

    After a failed exchange, it pauses for 1 to 16 inputs (`Backoff`). After an overload, it also
    pauses for one to two times the time that the cloud asked for, drawn at random. If the cloud
    asks for more than a minute, this counts as a minute.

    Attributes:
        answered: the number of inputs that the cloud has answered.
    """

    def __init__(
        self,
        offloader: Offloader,
        meter: Meter,
        notices: LimitNotices,
        *,
        deadline_ms: float,
        draw: Callable[[], float],
    ) -> None:
        """Start without a pause.

        Args:
            offloader: the connection that sends the inputs.
            meter: the meter that estimates or measures the time and energy of an exchange.
            notices: the log for limits that rule out an offload.
            deadline_ms: the longest wait for an answer, in wall-clock milliseconds.
            draw: a function that returns random numbers from 0 to 1, which vary the pauses.
        """
        self._draw = draw
        self._now_ms, self._retry_at_ms, self._failed_at_ms = 0, 0, 0
        self.answered = 0
        self._notices = notices
        self._offloader = offloader
        self._meter = meter
        self._deadline_ms = deadline_ms
        self._pause = Backoff()

    @property
    def size_bytes(self) -> int:
        """The expected number of bytes on the link for one offload, both ways."""
        return offload_bytes(self._offloader.form)

    def skip_reason(self, account: CostAccount, now_ms: int) -> Reason.ValueType | None:
        """Return the reason, if any, why the cloud is not an option for an input.

        The reason is a limit of the budget, or a pause after failures. Call this exactly once per
        input, because it counts down the pause.

        Args:
            account: the cost account of the input, which has the input's budget.
            now_ms: the current Unix time, in milliseconds.

        Returns:
            The reason to record in the receipt, or None if the cloud is an option.
        """
        self._now_ms = now_ms
        if self.pauses(now_ms):
            self._pause = self._pause.after_input()
            return receipt_pb2.REASON_BACK_OFF
        return self.limit_reason(account)

    def pauses(self, now_ms: int) -> bool:
        """Return whether the device waits after a failure, or because the cloud is overloaded.

        Args:
            now_ms: the current Unix time, in milliseconds.
        """
        return self._is_sent_away(now_ms) or not self._pause.over

    def pauses_later(self, now_ms: int) -> bool:
        """Return whether follow-ups have to wait.

        The pause after a failure is counted in new inputs, which may never come. For follow-ups, it
        therefore also ends once a minute per remaining input has passed since the failure.

        Args:
            now_ms: the current Unix time, in milliseconds.
        """
        paused_ms = abs(now_ms - self._failed_at_ms)  # the clock may have been set back
        return self._is_sent_away(now_ms) or paused_ms < self._pause.left * _LONGEST_RETRY_MS

    def _is_sent_away(self, now_ms: int) -> bool:
        """Return whether the pause that an overloaded cloud asked for is not over yet."""
        # Not if the clock was set back since.
        return 0 < self._retry_at_ms - now_ms <= 2 * _LONGEST_RETRY_MS

    def admits_later(self, count: int, budget: Budget) -> bool:
        """Return whether a budget admits follow-ups of earlier inputs.

        The inputs share the energy of waking the radio. There is no limit on the time.

        Args:
            count: the number of inputs, at least 1.
            budget: the limits in force.
        """
        if not budget.link_mbit_s > 0:
            return False
        energy_mj = self._meter.radio_mj(count * self.size_bytes, budget)
        return energy_mj / count <= energy_limit_mj(budget)

    def limit_reason(
        self, account: CostAccount, *, after: Sequence[CapacityCost] = ()
    ) -> Reason.ValueType | None:
        """Return the reason for the receipt if an offload would exceed a limit of the budget.

        All limits that the offload would exceed are logged. The reason is the first of them, in the
        order of `offload_excess`.

        Args:
            account: the cost account of the input, which has the input's budget.
            after: the expected costs of the capacities that have already run on the input. Their
                time and energy count toward the limits.

        Returns:
            The reason to record in the receipt, or None if the budget admits the offload.
        """
        size = self.size_bytes
        energy_mj = self._meter.radio_mj(size, account.budget)
        excesses = offload_excess(size, energy_mj, account.budget, after=after)
        for excess in excesses:
            self._notices.offload(excess)
        return REASONS[excesses[0].limit] if excesses else None

    def answer(
        self, request: OffloadRequest, account: CostAccount
    ) -> NDArray[np.float32] | NoAnswer:
        """Return the outputs of the cloud's model (logits) for an input.

        The time, energy and bytes of the exchange are added to the input's cost account. A failure
        starts a pause, which doubles with each further failure, up to 16 inputs. After an answer,
        the next pause lasts 1 input again.

        Args:
            request: the input to send.
            account: the cost account of the input. A failed exchange is added too. It is assumed
                to take the bytes of a full exchange, or only those of the framing if the connection
                failed.

        Returns:
            The outputs of the cloud's model, (O,), or the reason why there are none.
        """
        started, full_size = time.perf_counter(), self.size_bytes
        try:
            answer = self._offloader.offload(request, deadline_ms=self._deadline_ms)
        except OffloadError as err:
            took_ms = (time.perf_counter() - started) * 1e3
            self._back_off(err)
            if isinstance(err, OverloadedError):
                self._stay_away(err, took_ms)
            account.exchange(_bytes_of(err, full_size), 0, took_ms)
            return NoAnswer(_reason(err))
        self._pause = Backoff()
        self.answered += 1
        account.exchange(answer.bytes_up, answer.bytes_down, answer.wall_ms)
        return answer.logits

    def answer_all(
        self, requests: Sequence[OffloadRequest], budget: Budget, now_ms: int
    ) -> Exchange:
        """Return the cloud's answers to several inputs, which are sent at once.

        If no input is answered, a pause starts as after a failed offload. If some are refused
        because the cloud is overloaded, the pause that it asked for starts.

        Args:
            requests: the inputs to send.
            budget: the budget, which states the link.
            now_ms: the current Unix time, in milliseconds.
        """
        self._now_ms = now_ms
        started, full_size = time.perf_counter(), self.size_bytes
        deadline_ms = max(self._deadline_ms, _LATER_DEADLINE_MS)
        results = self._offloader.offload_all(requests, deadline_ms=deadline_ms)
        wall_ms = (time.perf_counter() - started) * 1e3
        answers = [one for one in results if isinstance(one, CloudAnswer)]
        errors = [one for one in results if isinstance(one, OffloadError)]
        self.answered += len(answers)
        if answers:
            self._pause = Backoff()
        elif errors:
            self._back_off(errors[0])
        busy = [one for one in errors if isinstance(one, OverloadedError)]
        if busy:
            self._stay_away(max(busy, key=lambda one: one.retry_ms), wall_ms)
        up = sum(one.bytes_up for one in answers)
        # If the connection failed before any input was sent, there is one error for all.
        up += sum(_bytes_of(err, full_size) for err in {id(err): err for err in errors}.values())
        down = sum(one.bytes_down for one in answers)
        return Exchange(results, up, down, self._meter.radio(up + down, budget, wall_ms))

    def _back_off(self, err: OffloadError) -> None:
        """Start a pause after a failed exchange."""
        _log.info("offload failed: %s", err)
        self._pause = self._pause.after_failure(self._draw())
        self._failed_at_ms = self._now_ms

    def _stay_away(self, err: OverloadedError, took_ms: float) -> None:
        """Start the pause that an overloaded cloud has asked for."""
        wait_ms = min(err.retry_ms, _LONGEST_RETRY_MS) * (1 + self._draw())
        self._retry_at_ms = self._now_ms + round(took_ms + wait_ms)


def _bytes_of(err: OffloadError, full_size: int) -> int:
    """Return the number of bytes that a failed exchange is assumed to have taken."""
    # Without a connection, only the attempt to connect went over the link.
    return FRAMING_BYTES if isinstance(err, UnreachableError) else full_size


def _reason(error: OffloadError) -> Reason.ValueType:
    if isinstance(error, DeadlineMissedError):
        return receipt_pb2.REASON_DEADLINE_MISSED
    if isinstance(error, UnreachableError):
        return receipt_pb2.REASON_UNREACHABLE
    if isinstance(error, OverloadedError):
        return receipt_pb2.REASON_OVERLOADED
    return receipt_pb2.REASON_BAD_ANSWER
