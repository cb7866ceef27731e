"""A crowd of devices that do nothing but report: their receipts, births and data messages.

Run as a program it plays them all to a broker, from one connection, at a given pace. As devices do,
it sends again what nobody acknowledged, and is born again when it is asked to.
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
_BIRTHS_A_SECOND = 500
# What is not acknowledged goes out again after so long, then ever more slowly, as with devices.
_REPEAT_S, _LONGEST_REPEAT_S = 5.0, 60.0
# After the last new message, for what is still to be acknowledged.
_PATIENCE_S = 180.0
_SEED = 0

_Message = tuple[str, str, bytes]  # kind, device, payload


def device_id(number: int) -> str:
    """Name of one of the crowd."""
    return f"crowd-{number:05d}"


class Device:
    """One of the crowd.

    Args:
        number: from 0.
        bundle_version: what it says that it runs.
        outbox_id: of its receipts.
    """

    def __init__(self, number: int, bundle_version: str, outbox_id: str) -> None:
        self.id = device_id(number)
        self._rng = np.random.default_rng([_SEED, number])
        self._outbox_id = outbox_id
        self._sequence = 0
        self._node = SparkplugNode(0)
        self._prepared: deque[ReceiptBatch] = deque()
        # By their last sequence: when to send again, after how long the next time, and what.
        self._sent: dict[int, tuple[float, float, ReceiptBatch]] = {}
        self.capacity = 1 + number % CAPACITIES
        self._gauges = Gauges(
            profile=_BOARDS[number % len(_BOARDS)],
            bundle_version=bundle_version,
            capacity=self.capacity,
        )

    def birth(self, now_ms: int) -> bytes:
        """Its birth certificate."""
        return self._node.birth(self._gauges, 0, now_ms=now_ms).SerializeToString()

    def prepare(self, batches: int, size: int) -> None:
        """Make receipts ahead of time, so that making them takes nothing from what is measured."""
        self._prepared.extend(self.batch([0] * size) for _ in range(batches))

    def data(self, answered_ms: Sequence[int], now_s: float) -> bytes:
        """A data message with a receipt for each time."""
        batch = self._prepared.popleft() if self._prepared else self.batch(answered_ms)
        for receipt, at_ms in zip(batch.receipts, answered_ms, strict=True):
            receipt.answered_at_ms = at_ms
        self._sent[batch.receipts[-1].sequence] = now_s + _REPEAT_S, 2 * _REPEAT_S, batch
        return self._message(batch, historical=False)

    def repeats(self, now_s: float) -> Iterator[bytes]:
        """What is to be sent again."""
        for last, (due_s, wait_s, batch) in list(self._sent.items()):
            if now_s >= due_s:
                self._sent[last] = now_s + wait_s, min(2 * wait_s, _LONGEST_REPEAT_S), batch
                yield self._message(batch, historical=True)

    def settle(self, acknowledged: int) -> None:
        """Let go of what is stored."""
        for last in [last for last in self._sent if last <= acknowledged]:
            del self._sent[last]

    def obey(self, command: Command) -> None:
        """Report back what was written, with the next message."""
        if command.target is not None:
            self._gauges = replace(self._gauges, offload_target=command.target.share)
        if command.desired_bundle is not None:
            self._gauges = replace(self._gauges, desired_bundle=command.desired_bundle)

    @property
    def settled(self) -> bool:
        """Whether all is acknowledged."""
        return not self._sent

    def _message(self, batch: ReceiptBatch, *, historical: bool) -> bytes:
        now_ms = unix_ms()
        payload = self._node.data(self._gauges, 0, batch, historical=historical, now_ms=now_ms)
        assert payload is not None  # it has a batch
        return payload.SerializeToString()

    def batch(self, answered_ms: Sequence[int]) -> ReceiptBatch:
        """Receipts, one for each time."""
        receipts = [self._receipt(at_ms) for at_ms in answered_ms]
        return ReceiptBatch(outbox_id=self._outbox_id, receipts=receipts)

    def _receipt(self, at_ms: int) -> Receipt:
        self._sequence += 1
        luck = self._rng.random()
        cloud = luck < 0.25
        reason = REASON_ESCALATED if cloud else REASON_ACCEPTED
        made = Receipt(
            sequence=self._sequence,
            input_index=self._sequence - 1,
            answered_at_ms=at_ms,
            bundle_version=self._gauges.bundle_version,
            answer=int(luck * 7),
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
        made.route.capacity = 0 if cloud else self.capacity
        made.route.reason = REASON_DEADLINE_MISSED if luck > 0.99 else reason
        made.energy.add(source="compute", energy_mj=0.8 + luck, provenance=PROVENANCE_MODELLED)
        if cloud:
            made.energy.add(source="radio", energy_mj=13.8, provenance=PROVENANCE_MODELLED)
        made.budget.memory_bytes, made.budget.battery = 40_000, 0.9
        made.budget.link_mbit_s, made.budget.offload_share = 5.0, 0.25
        return made


def main() -> None:
    """Play the crowd; tells of births and of the end by a line of JSON each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", required=True)
    parser.add_argument("--devices", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--batch", type=int, required=True, help="receipts a message, one a second")
    parser.add_argument("--bundle", required=True)
    options = parser.parse_args()
    asyncio.run(_play(options))


async def _play(options: argparse.Namespace) -> None:
    broker = Address.parse(options.broker)
    async with aiomqtt.Client(broker.host, broker.port, max_inflight_messages=_IN_FLIGHT) as client:
        crowd = _Crowd(client, options)
        listening = asyncio.create_task(crowd.listen())
        await crowd.be_born()
        print(json.dumps({"event": "born"}), flush=True)
        print(json.dumps({"event": "sent", **await crowd.report()}), flush=True)
        print(json.dumps({"event": "settled", **await crowd.settle()}), flush=True)
        listening.cancel()


class _Crowd:
    """All of them on one connection."""

    def __init__(self, client: aiomqtt.Client, options: argparse.Namespace) -> None:
        client.pending_calls_threshold = 10 * _IN_FLIGHT  # by intent, so many at once
        self._client = client
        self._batch: int = options.batch
        self._seconds: float = options.seconds
        made = [Device(number, options.bundle, "live") for number in range(options.devices)]
        for device in made:
            device.prepare(math.ceil(options.seconds / options.batch), options.batch)
        self._devices = {device.id: device for device in made}
        self._turns = made
        self._reborn: set[str] = set()
        self._repeated = 0

    async def listen(self) -> None:
        """Take commands until cancelled."""
        await self._client.subscribe(topics.sparkplug("NCMD", "+"), qos=1)
        async for message in self._client.messages:
            device = self._devices.get(message.topic.value.rpartition("/")[2])
            if device is None or not isinstance(message.payload, bytes):
                continue
            command = read_command(message.payload)
            if command.acknowledgement and command.acknowledgement.outbox_id == "live":
                device.settle(command.acknowledgement.sequence)
            device.obey(command)
            if command.rebirth:
                self._reborn.add(device.id)

    async def be_born(self) -> None:
        """Say who is there, no faster than a network lets so many connect."""
        for index, device in enumerate(self._turns):
            if index % _BIRTHS_A_SECOND == 0:
                await asyncio.sleep(1)
            await self._publish([("NBIRTH", device.id, device.birth(unix_ms()))])

    async def report(self) -> dict[str, float]:
        """Send receipts at the pace that was asked for."""
        started = time.monotonic()
        rate = len(self._turns) / self._batch
        last, sent = int(self._seconds * rate), 0
        while sent < last:
            due = min(int((time.monotonic() - started) * rate), last) - sent
            if due <= 0:
                await asyncio.sleep(0.005)
                continue
            numbers = range(sent, sent + min(due, _IN_FLIGHT))
            await self._publish([self._turn(number) for number in numbers])
            sent += len(numbers)
            await self._catch_up()
        seconds = time.monotonic() - started
        return {"messages": sent, "receipts": sent * self._batch, "seconds": seconds}

    async def settle(self) -> dict[str, float]:
        """Wait until everything is acknowledged, and send again what is not."""
        started = time.monotonic()
        while open_ := [one for one in self._turns if not one.settled]:
            if time.monotonic() - started > _PATIENCE_S:
                break
            await self._catch_up()
            await asyncio.sleep(0.02)
        return {
            "seconds": time.monotonic() - started,
            "repeated_messages": self._repeated,
            "unsettled_devices": len(open_),
        }

    def _turn(self, number: int) -> _Message:
        """A receipt for each of the last seconds, of the device whose turn it is."""
        now_ms = unix_ms()
        answered = [now_ms - 1000 * (self._batch - 1 - second) for second in range(self._batch)]
        device = self._turns[number % len(self._turns)]
        return "NDATA", device.id, device.data(answered, time.monotonic())

    async def _catch_up(self) -> None:
        """Births that were asked for, and messages to repeat."""
        reborn, self._reborn = self._reborn, set()
        births = [("NBIRTH", name, self._devices[name].birth(unix_ms())) for name in reborn]
        now_s = time.monotonic()
        repeats = [
            ("NDATA", device.id, payload)
            for device in self._turns
            for payload in device.repeats(now_s)
        ]
        self._repeated += len(repeats)
        await self._publish([*births, *repeats])

    async def _publish(self, messages: Sequence[_Message]) -> None:
        """Publish with acknowledgement, as many at once as may be in flight."""
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
