"""Simulates devices that only report, with their receipts, births and data messages.

A birth is the message that announces a device. Run as a program, this module plays all devices to a
broker on one connection at a given rate. Like real devices, they repeat messages that are not
acknowledged, and send another birth when a rebirth is requested.
"""

import argparse
import asyncio
import json
import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace

import aiomqtt
import numpy as np

from nestling import topics
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
from nestling_core.network.address import Address
from nestling_device.telemetry.sparkplug_node import Command, Gauges, SparkplugNode, read_command

CAPACITIES = 4
_BOARDS = ("pi-zero-2w", "pi-4b", "pi-5")
_IN_FLIGHT = 200
_BIRTHS_PER_SECOND = 500
# Time until an unacknowledged message is repeated; it doubles up to the longest one.
_REPEAT_S, _LONGEST_REPEAT_S = 5.0, 60.0
# Longest wait for acknowledgements after the last new message.
_SETTLE_TIMEOUT_S = 180.0
_SEED = 0

_Message = tuple[str, str, bytes]  # kind, device, payload


class Device:
    """A simulated device.

    Args:
        number: the number of the device, from 0.
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
            now_ms: the present time, Unix ms.
        """
        return self._node.birth(self._gauges, 0, now_ms=now_ms).SerializeToString()

    def prepare(self, batches: int, size: int) -> None:
        """Prepare batches, so that the time to build them does not count in the measurement.

        Args:
            batches: the number of batches.
            size: the number of receipts in each batch.
        """
        self._prepared.extend(self.batch([0] * size) for _ in range(batches))

    def data(self, answered_ms: Sequence[int], now_s: float) -> bytes:
        """Return a data message.

        Args:
            answered_ms: the time of the answer of each receipt, Unix ms.
            now_s: the present monotonic time, from which the repetition is scheduled.
        """
        batch = self._prepared.popleft() if self._prepared else self.batch(answered_ms)
        for receipt, at_ms in zip(batch.receipts, answered_ms, strict=True):
            receipt.answered_at_ms = at_ms
        self._sent[batch.receipts[-1].sequence] = now_s + _REPEAT_S, 2 * _REPEAT_S, batch
        return self._message(batch, historical=False)

    def repeats(self, now_s: float) -> Iterator[bytes]:
        """Yield the messages that are due for repetition.

        Args:
            now_s: the present monotonic time.
        """
        for last, (due_s, wait_s, batch) in list(self._sent.items()):
            if now_s >= due_s:
                self._sent[last] = now_s + wait_s, min(2 * wait_s, _LONGEST_REPEAT_S), batch
                yield self._message(batch, historical=True)

    def settle(self, acknowledged: int) -> None:
        """Drop the batches that the cloud has acknowledged.

        Args:
            acknowledged: the last sequence number that is acknowledged.
        """
        for last in [last for last in self._sent if last <= acknowledged]:
            del self._sent[last]

    def apply(self, command: Command) -> None:
        """Report the target and the bundle of a command from the next message on."""
        if command.target is not None:
            self._gauges = replace(self._gauges, offload_target=command.target.share)
        if command.desired_bundle is not None:
            self._gauges = replace(self._gauges, desired_bundle=command.desired_bundle)

    @property
    def settled(self) -> bool:
        """Whether all messages are acknowledged."""
        return not self._sent

    def _message(self, batch: ReceiptBatch, *, historical: bool) -> bytes:
        now_ms = unix_ms()
        payload = self._node.data(self._gauges, 0, batch, historical=historical, now_ms=now_ms)
        assert payload is not None  # a message with a batch is never empty
        return payload.SerializeToString()

    def batch(self, answered_ms: Sequence[int]) -> ReceiptBatch:
        """Return a batch with one receipt for each time of an answer.

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


def main() -> None:
    """Play all devices to the broker.

    A line of JSON is printed after the births, after the messages and after the repetitions.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", required=True, help="address of the broker")
    parser.add_argument("--devices", type=int, required=True, help="number of devices")
    parser.add_argument("--seconds", type=float, required=True, help="duration, s")
    parser.add_argument("--batch", type=int, required=True, help="receipts per message")
    parser.add_argument("--bundle", required=True, help="bundle version to report")
    options = parser.parse_args()
    asyncio.run(_play(options))


async def _play(options: argparse.Namespace) -> None:
    broker = Address.parse(options.broker)
    async with aiomqtt.Client(broker.host, broker.port, max_inflight_messages=_IN_FLIGHT) as client:
        crowd = _Crowd(client, options)
        listening = asyncio.create_task(crowd.listen())
        await crowd.send_births()
        print(json.dumps({"event": "born"}), flush=True)
        print(json.dumps({"event": "sent", **await crowd.report()}), flush=True)
        print(json.dumps({"event": "settled", **await crowd.settle()}), flush=True)
        listening.cancel()


class _Crowd:
    """All devices on one connection."""

    def __init__(self, client: aiomqtt.Client, options: argparse.Namespace) -> None:
        client.pending_calls_threshold = 10 * _IN_FLIGHT  # no warning below that
        self._client = client
        self._batch: int = options.batch
        self._seconds: float = options.seconds
        self._devices = [
            Device(number, options.bundle, "live") for number in range(options.devices)
        ]
        for device in self._devices:
            device.prepare(math.ceil(options.seconds / options.batch), options.batch)
        self._by_id = {device.id: device for device in self._devices}
        self._rebirths: set[str] = set()
        self._repeated = 0

    async def listen(self) -> None:
        """Receive commands until canceled."""
        await self._client.subscribe(topics.sparkplug("NCMD", "+"), qos=1)
        async for message in self._client.messages:
            device = self._by_id.get(message.topic.value.rpartition("/")[2])
            if device is None or not isinstance(message.payload, bytes):
                continue
            command = read_command(message.payload)
            if command.acknowledgement and command.acknowledgement.outbox_id == "live":
                device.settle(command.acknowledgement.sequence)
            device.apply(command)
            if command.rebirth:
                self._rebirths.add(device.id)

    async def send_births(self) -> None:
        """Send all births, at most 500 per second."""
        for index, device in enumerate(self._devices):
            if index % _BIRTHS_PER_SECOND == 0:
                await asyncio.sleep(1)
            await self._publish([("NBIRTH", device.id, device.birth(unix_ms()))])

    async def report(self) -> dict[str, float]:
        """Send receipts at the given rate.

        Return the number of messages, the number of receipts and the seconds that were needed.
        """
        started = time.monotonic()
        rate = len(self._devices) / self._batch
        last, sent = int(self._seconds * rate), 0
        while sent < last:
            due = min(int((time.monotonic() - started) * rate), last) - sent
            if due <= 0:
                await asyncio.sleep(0.005)
                continue
            numbers = range(sent, sent + min(due, _IN_FLIGHT))
            await self._publish([self._next_message(number) for number in numbers])
            sent += len(numbers)
            await self._catch_up()
        seconds = time.monotonic() - started
        return {"messages": sent, "receipts": sent * self._batch, "seconds": seconds}

    async def settle(self) -> dict[str, float]:
        """Repeat messages until all are acknowledged or the time is up.

        Return the seconds, the number of repeated messages and the number of devices with messages
        that are not acknowledged.
        """
        started = time.monotonic()
        while unsettled := [device for device in self._devices if not device.settled]:
            if time.monotonic() - started > _SETTLE_TIMEOUT_S:
                break
            await self._catch_up()
            await asyncio.sleep(0.02)
        return {
            "seconds": time.monotonic() - started,
            "repeated_messages": self._repeated,
            "unsettled_devices": len(unsettled),
        }

    def _next_message(self, number: int) -> _Message:
        """Return a message of the device whose turn it is.

        The message has one receipt for each of the last seconds, as many as a batch holds.
        """
        now_ms = unix_ms()
        answered = [now_ms - 1000 * (self._batch - 1 - second) for second in range(self._batch)]
        device = self._devices[number % len(self._devices)]
        return "NDATA", device.id, device.data(answered, time.monotonic())

    async def _catch_up(self) -> None:
        """Send the requested births, and repeat unacknowledged messages."""
        rebirths, self._rebirths = self._rebirths, set()
        births = [("NBIRTH", name, self._by_id[name].birth(unix_ms())) for name in rebirths]
        now_s = time.monotonic()
        repeats = [
            ("NDATA", device.id, payload)
            for device in self._devices
            for payload in device.repeats(now_s)
        ]
        self._repeated += len(repeats)
        await self._publish([*births, *repeats])

    async def _publish(self, messages: Sequence[_Message]) -> None:
        """Publish messages with QoS 1, with as many at once as may be in flight."""
        waiting: set[asyncio.Task[None]] = set()
        for kind, device, payload in messages:
            topic = topics.sparkplug(kind, device)
            call = self._client.publish(topic, payload, qos=1, timeout=60)
            waiting.add(asyncio.create_task(call))
            if len(waiting) >= _IN_FLIGHT:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        for task in waiting:
            await task


if __name__ == "__main__":
    main()
