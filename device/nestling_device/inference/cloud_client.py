"""The cloud as an agent sees it: an option or none just now, an answer or a reason why not."""

import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestling.v1 import receipt_pb2
from nestling.v1.receipt_pb2 import Reason
from nestling_core.routing.admission import FRAMING_BYTES, offload_bytes
from nestling_device.energy.meter import Meter
from nestling_device.inference import policy
from nestling_device.inference.cost_account import CostAccount
from nestling_device.inference.limit_notices import LimitNotices
from nestling_device.inference.limits import REASONS, CapacityCost, offload_excess
from nestling_device.inference.offloader import (
    DeadlineMissedError,
    Offloader,
    OffloadError,
    OffloadRequest,
    UnreachableError,
)

_log = logging.getLogger(__name__)


class NoAnswer(NamedTuple):
    """Why the device has to answer itself."""

    reason: Reason.ValueType


class Cloud:
    """Asks the cloud, and leaves it alone for a while after it failed."""

    def __init__(
        self, offloader: Offloader, meter: Meter, notices: LimitNotices, *, deadline_ms: float
    ) -> None:
        """Begin with a cloud that is thought to be there.

        Args:
            offloader: asks.
            meter: tells what an exchange takes.
            notices: logs which limits keep it from asking.
            deadline_ms: when an answer has to be here, by the clock.
        """
        self._notices = notices
        self._offloader = offloader
        self._meter = meter
        self._deadline_ms = deadline_ms
        self._pause = policy.Backoff()

    def skip_reason(
        self, window: NDArray[np.float32], account: CostAccount
    ) -> Reason.ValueType | None:
        """Tell why the cloud is no option for this input: a limit, or the pause after a failure.

        Call it once for every input: a pause is counted in inputs.

        Args:
            window: the input.
            account: of this input, with its budget.

        Returns:
            None where the cloud is an option.
        """
        if not self._pause.over:
            self._pause = self._pause.after_input()
            return receipt_pb2.REASON_BACK_OFF
        return self.limit_reason(window, account)

    def limit_reason(
        self,
        window: NDArray[np.float32],
        account: CostAccount,
        *,
        after: Sequence[CapacityCost] = (),
    ) -> Reason.ValueType | None:
        """Tell which limit of the budget an offload exceeds when some capacities have run.

        Args:
            window: the input.
            account: of this input, with its budget.
            after: expected costs of the capacities that have run on the input.

        Returns:
            The first such limit's reason, None where the budget admits the offload.
        """
        size = offload_bytes(window.shape)
        energy_mj = self._meter.radio_mj(size, account.budget)
        found = offload_excess(size, energy_mj, account.budget, after=after)
        for excess in found:
            self._notices.offload(excess)
        return REASONS[found[0].limit] if found else None

    def answer(self, question: OffloadRequest, account: CostAccount) -> int | NoAnswer:
        """Ask for the class of an input, and enter the exchange into the bill."""
        started = time.perf_counter()
        try:
            found = self._offloader.offload(question, deadline_ms=self._deadline_ms)
        except OffloadError as err:
            _log.info("offload failed: %s", err)
            self._pause = self._pause.after_failure()
            # Without a connection nothing but the attempt was sent.
            away = isinstance(err, UnreachableError)
            size = FRAMING_BYTES if away else offload_bytes(question.window.shape)
            account.exchange(size, 0, (time.perf_counter() - started) * 1e3)
            return NoAnswer(_reason(err))
        self._pause = policy.Backoff()
        account.exchange(found.bytes_up, found.bytes_down, found.wall_ms)
        return int(found.logits.argmax())


def _reason(error: OffloadError) -> Reason.ValueType:
    if isinstance(error, DeadlineMissedError):
        return receipt_pb2.REASON_DEADLINE_MISSED
    if isinstance(error, UnreachableError):
        return receipt_pb2.REASON_UNREACHABLE
    return receipt_pb2.REASON_BAD_ANSWER
