"""Simulates a device that only reports, and answers no inputs.

The device sends birth messages, which announce it to the cloud, and data messages with receipts.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from nestling.v1.receipt_pb2 import (
    PROVENANCE_MEASURED,
    PROVENANCE_MODELLED,
    REASON_ACCEPTED,
    REASON_DEADLINE_MISSED,
    REASON_ESCALATED,
    Receipt,
    ReceiptBatch,
)
from nestling_core.clock import unix_ms
from nestling_device.telemetry.sparkplug_node import Command, Gauges, SparkplugNode

CAPACITIES = 4
_BOARDS = ("pi-zero-2w", "pi-4b", "pi-5")
# Time until an unacknowledged message is repeated; it doubles up to the longest one.
_REPEAT_S, _LONGEST_REPEAT_S = 5.0, 60.0
_SEED = 0


class Device:
    """A simulated device, which reports random receipts.

    Args:
        number: the number of the device, from 0. It determines the device's id, board, capacity and
            random receipts.
        bundle_version: the bundle version that the device reports.
        outbox_id: the outbox id of the device's receipts.
    """

    def __init__(self, number: int, bundle_version: str, outbox_id: str) -> None:
        self.id = f"crowd-{number:05d}"
        self._rng = np.random.default_rng([_SEED, number])
        self._outbox_id = outbox_id
        self._sequence = 0
        self._node = SparkplugNode(0)
        self._prepared: deque[ReceiptBatch] = deque()
        # By last sequence number: when to repeat, the wait after that, and the batch.
        self._sent: dict[int, tuple[float, float, ReceiptBatch]] = {}
        self.capacity = 1 + number % CAPACITIES
        self._gauges = Gauges(
            profile=_BOARDS[number % len(_BOARDS)],
            bundle_version=bundle_version,
            capacity=self.capacity,
        )

    def birth(self, now_ms: int) -> bytes:
        """Return a birth message, which announces the device.

        Args:
            now_ms: the current time, Unix ms.
        """
        return self._node.birth(self._gauges, 0, now_ms=now_ms).SerializeToString()

    def prepare(self, batches: int, size: int) -> None:
        """Build batches of receipts in advance, so that the time for this is not measured.

        Args:
            batches: the number of batches.
            size: the number of receipts in each batch.
        """
        self._prepared.extend(self.batch([0] * size) for _ in range(batches))

    def data(self, answered_ms: Sequence[int], now_s: float) -> bytes:
        """Return a data message with the next batch of receipts.

        A prepared batch is used if there is one. The batch is kept for repetition until it is
        acknowledged.

        Args:
            answered_ms: the time at which each receipt's input was answered, Unix ms. For a
                prepared batch, there must be one time for each of its receipts.
            now_s: the current monotonic time in seconds, from which the repetition is scheduled.
        """
        batch = self._prepared.popleft() if self._prepared else self.batch(answered_ms)
        for receipt, at_ms in zip(batch.receipts, answered_ms, strict=True):
            receipt.answered_at_ms = at_ms
        self._sent[batch.receipts[-1].sequence] = now_s + _REPEAT_S, 2 * _REPEAT_S, batch
        return self._message(batch, historical=False)

    def repeats(self, now_s: float) -> Iterator[bytes]:
        """Yield the messages that are due for repetition.

        The wait until the next repetition of a message doubles each time, up to a minute.

        Args:
            now_s: the current monotonic time in seconds.
        """
        for last, (due_s, wait_s, batch) in list(self._sent.items()):
            if now_s >= due_s:
                self._sent[last] = now_s + wait_s, min(2 * wait_s, _LONGEST_REPEAT_S), batch
                yield self._message(batch, historical=True)

    def settle(self, acknowledged: int) -> None:
        """Drop the batches that the cloud has acknowledged.

        Args:
            acknowledged: the sequence number of the last acknowledged receipt.
        """
        for last in [last for last in self._sent if last <= acknowledged]:
            del self._sent[last]

    def apply(self, command: Command) -> None:
        """Accept a command's target and desired bundle, and report them in all later messages."""
        if command.target is not None:
            self._gauges = replace(self._gauges, offload_target=command.target.share)
        if command.desired_bundle is not None:
            self._gauges = replace(self._gauges, desired_bundle=command.desired_bundle)

    @property
    def settled(self) -> bool:
        """Whether the cloud has acknowledged all batches that were sent."""
        return not self._sent

    def _message(self, batch: ReceiptBatch, *, historical: bool) -> bytes:
        now_ms = unix_ms()
        payload = self._node.data(self._gauges, 0, batch, historical=historical, now_ms=now_ms)
        assert payload is not None  # a message with a batch is never empty
        return payload.SerializeToString()

    def batch(self, answered_ms: Sequence[int]) -> ReceiptBatch:
        """Return a batch of new receipts, one for each of the given times.

        Args:
            answered_ms: the times of the answers, Unix ms.
        """
        receipts = [self._receipt(at_ms) for at_ms in answered_ms]
        return ReceiptBatch(outbox_id=self._outbox_id, receipts=receipts)

    def _receipt(self, at_ms: int) -> Receipt:
        self._sequence += 1
        draw = self._rng.random()
        cloud = draw < 0.25
        reason = REASON_ESCALATED if cloud else REASON_ACCEPTED
        receipt = Receipt(
            sequence=self._sequence,
            input_index=self._sequence - 1,
            answered_at_ms=at_ms,
            bundle_version=self._gauges.bundle_version,
            answer=int(draw * 7),
            device_answer=int(draw * 7),
            device_confidence=0.5 + draw / 2,
            resident_capacity=self.capacity,
            latency_ms=float(self._rng.lognormal(3.0 if cloud else 0.5, 0.5)),
            latency_provenance=PROVENANCE_MEASURED,
            wall_ms=1.0,
            bytes_up=2600 if cloud else 0,
            bytes_down=120 if cloud else 0,
            success=[0.7, 0.75, 0.8, 0.85, 0.9],
            offload_energy_mj=13.8,
            offload_energy_provenance=PROVENANCE_MODELLED,
            offload_bytes=2720,
        )
        receipt.route.capacity = 0 if cloud else self.capacity
        receipt.route.reason = REASON_DEADLINE_MISSED if draw > 0.99 else reason
        receipt.energy.add(source="compute", energy_mj=0.8 + draw, provenance=PROVENANCE_MODELLED)
        if cloud:
            receipt.energy.add(source="radio", energy_mj=13.8, provenance=PROVENANCE_MODELLED)
        receipt.budget.memory_bytes, receipt.budget.battery = 40_000, 0.9
        receipt.budget.link_mbit_s, receipt.budget.offload_share = 5.0, 0.25
        return receipt
