"""Simulates many devices that report to a broker over one connection.

Each device makes one receipt per second. Like real devices, the simulated ones repeat messages that
are not acknowledged, and send another birth (the message that announces a device) when a rebirth is
requested.
"""

import argparse
import asyncio
import json
import math
import time
from collections.abc import Sequence

import aiomqtt

from benchmarks.crowd.device import Device
from nestling import topics
from nestling_core.clock import unix_ms
from nestling_core.network.address import Address
from nestling_device.telemetry.sparkplug_node import read_command

_IN_FLIGHT = 200
_BIRTHS_PER_SECOND = 500
# Longest wait for acknowledgements after the last new message.
_SETTLE_TIMEOUT_S = 180.0

_Message = tuple[str, str, bytes]  # kind, device, payload


def main() -> None:
    """Run all devices.

    A line of JSON is printed after all births have been sent, after all new messages have been
    sent, and at the end.
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
    """All simulated devices, which share one connection."""

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
        """Receive commands, and apply them to the devices, until canceled."""
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
        """Send one receipt per second for each device, in batches.

        Return the numbers of messages and receipts sent, and the time taken, in seconds.
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
        """Repeat messages until all are acknowledged, for at most three minutes.

        Return the time taken in seconds, the number of messages repeated since the start, and the
        number of devices that still have unacknowledged messages.
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
        """Return a new message of the device whose turn it is.

        The message has a full batch, with one receipt for each of the last seconds.

        Args:
            number: the number of the message, from 0. The devices take turns.
        """
        now_ms = unix_ms()
        answered = [now_ms - 1000 * (self._batch - 1 - second) for second in range(self._batch)]
        device = self._devices[number % len(self._devices)]
        return "NDATA", device.id, device.data(answered, time.monotonic())

    async def _catch_up(self) -> None:
        """Send the requested births, and repeat the unacknowledged messages that are due."""
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
        """Publish messages with QoS 1, of which at most 200 wait for the broker at once."""
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
