"""A crowd of devices that do nothing but report: their receipts, births and data messages.

Run as a program it plays them all to a broker, from one connection, at a given pace.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Iterator, Sequence

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
from nestling_device.sparkplug_node import Gauges, SparkplugNode

CAPACITIES = 4
_BOARDS = ("pi-zero-2w", "pi-4b", "pi-5")
_IN_FLIGHT = 200
_SEED = 0


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
        self.capacity = 1 + number % CAPACITIES
        self._gauges = Gauges(
            profile=_BOARDS[number % len(_BOARDS)],
            bundle_version=bundle_version,
            capacity=self.capacity,
        )

    def birth(self, now_ms: int) -> bytes:
        """Its birth certificate."""
        return self._node.birth(self._gauges, 0, now_ms=now_ms).SerializeToString()

    def data(self, answered_ms: Sequence[int]) -> bytes:
        """A data message with a receipt for each time."""
        batch = self.batch(answered_ms)
        payload = self._node.data(self._gauges, 0, batch, now_ms=answered_ms[-1])
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
    host, _, port = options.broker.rpartition(":")
    devices = [Device(n, options.bundle, "live") for n in range(options.devices)]
    async with aiomqtt.Client(host, int(port), max_inflight_messages=_IN_FLIGHT) as client:
        client.pending_calls_threshold = 10 * _IN_FLIGHT  # by intent, so many at once
        await _in_turns(client, ("NBIRTH", _births(devices)))
        print(json.dumps({"event": "born"}), flush=True)
        started = time.monotonic()
        sent = 0
        while (elapsed := time.monotonic() - started) < options.seconds:
            turn = int(elapsed * len(devices) / options.batch)
            due = min(turn, int(options.seconds * len(devices) / options.batch)) - sent
            if due <= 0:
                await asyncio.sleep(0.005)
                continue
            due = min(due, _IN_FLIGHT)
            await _in_turns(client, ("NDATA", _data(devices, options.batch, sent, due)))
            sent += due
        told = {"messages": sent, "receipts": sent * options.batch}
        seconds = time.monotonic() - started
    print(json.dumps({"event": "sent", **told, "seconds": seconds}), flush=True)


def _births(devices: Sequence[Device]) -> Iterator[tuple[str, bytes]]:
    for device in devices:
        yield device.id, device.birth(_now_ms())


def _data(
    devices: Sequence[Device], batch: int, first: int, count: int
) -> Iterator[tuple[str, bytes]]:
    """Messages of the devices whose turn it is, a receipt for each of the last seconds."""
    for index in range(first, first + count):
        now_ms = _now_ms()
        answered = [now_ms - 1000 * (batch - 1 - second) for second in range(batch)]
        device = devices[index % len(devices)]
        yield device.id, device.data(answered)


async def _in_turns(client: aiomqtt.Client, given: tuple[str, Iterator[tuple[str, bytes]]]) -> None:
    """Publish with acknowledgement, as many at once as may be in flight."""
    kind, messages = given
    waiting: set[asyncio.Task[None]] = set()
    for device, payload in messages:
        topic = topics.sparkplug(kind, device)
        waiting.add(asyncio.create_task(client.publish(topic, payload, qos=1, timeout=60)))
        if len(waiting) >= _IN_FLIGHT:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    for task in waiting:
        await task


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    main()
