"""Telemetry from the broker into the store, and the acknowledgements back.

A receipt is acknowledged after the commit that holds it, never before; what a crash or a lost
message leaves unacknowledged the device sends again.
"""

import asyncio
import json
import logging
import time

import aiomqtt
import sqlalchemy as sa
from google.protobuf.message import DecodeError

from nestling import metrics, topics
from nestling.sparkplug.v1 import payload_pb2
from nestling.v1 import receipt_pb2
from nestling_cloud.connection import BrokerAddress, payload_bytes, stay_connected
from nestling_cloud.telemetry.receipts import ReceiptError
from nestling_cloud.telemetry.sparkplug_host import Reading, SparkplugHost
from nestling_cloud.telemetry.store import Delivery, Store, check_outbox_id

_MESSAGE_TYPES = ("NBIRTH", "NDATA", "NDEATH")
# One commit takes milliseconds whatever it holds, so what waits goes in together.
_MAX_DELIVERIES_A_COMMIT = 64
# Before a full queue makes the reader wait.
_MAX_WAITING = 256
_STORE_RETRY_S = 1.0

_LOG = logging.getLogger(__name__)


class Ingest:
    """The fleet's Sparkplug host.

    Args:
        store: where receipts go.
        broker: where devices publish.
    """

    def __init__(self, store: Store, broker: BrokerAddress) -> None:
        self._store = store
        self._broker = broker
        self._host = SparkplugHost()
        self._waiting: asyncio.Queue[Delivery] = asyncio.Queue(_MAX_WAITING)
        self._online_since_ms = 0
        self.subscribed = asyncio.Event()  # set from the first subscription on

    async def run(self) -> None:
        """Take telemetry in until cancelled; a broker that goes away is awaited."""
        await stay_connected(self._client, self._serve)

    def _client(self) -> aiomqtt.Client:
        # Sparkplug 3.0: the Will and the birth of one connection have the same timestamp.
        self._online_since_ms = _now_ms()
        will = aiomqtt.Will(topics.HOST_STATE, self._state(online=False), qos=1, retain=True)
        return self._broker.client(will=will)

    def _state(self, *, online: bool) -> str:
        return json.dumps({"online": online, "timestamp": self._online_since_ms})

    async def _serve(self, client: aiomqtt.Client) -> None:
        for message_type in _MESSAGE_TYPES:
            await client.subscribe(topics.sparkplug(message_type, "+"), qos=1)
        await client.publish(topics.HOST_STATE, self._state(online=True), qos=1, retain=True)
        self.subscribed.set()
        work = [
            asyncio.create_task(self._read(client), name="telemetry-messages"),
            asyncio.create_task(self._commit_all(client), name="telemetry-commits"),
        ]
        try:
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # neither ends but by an error
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            await self._say_goodbye(client)

    async def _read(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            await self._take(client, message)

    async def _say_goodbye(self, client: aiomqtt.Client) -> None:
        try:
            state = self._state(online=False)
            await client.publish(topics.HOST_STATE, state, qos=1, retain=True, timeout=1)
        except aiomqtt.MqttError:
            _LOG.debug("the broker went first; our Will says the same")

    async def _take(self, client: aiomqtt.Client, message: aiomqtt.Message) -> None:
        _, _, message_type, device = str(message.topic).split("/")
        try:
            topics.check_device_id(device)
            payload = payload_pb2.Payload.FromString(payload_bytes(message))
            reading = self._understand(message_type, device, payload)
            batch = _batch(reading)
        except (ValueError, DecodeError, ReceiptError) as err:
            _LOG.warning("dropped a %s from %r: %s", message_type, device[:64], err)
            return
        if reading.ask_rebirth:
            await self._command(client, device, metrics.REBIRTH, value=True)
        if batch is not None:
            await self._waiting.put(Delivery(device=device, batch=batch))

    def _understand(self, message_type: str, device: str, payload: payload_pb2.Payload) -> Reading:
        if message_type == "NBIRTH":
            return self._host.birth(device, payload)
        if message_type == "NDATA":
            return self._host.data(device, payload, now_ms=_now_ms())
        self._host.death(device, payload)
        return Reading(values={}, ask_rebirth=False)

    async def _commit_all(self, client: aiomqtt.Client) -> None:
        while True:
            deliveries = [await self._waiting.get()]
            while len(deliveries) < _MAX_DELIVERIES_A_COMMIT and not self._waiting.empty():
                deliveries.append(self._waiting.get_nowait())
            if await self._commit(deliveries):
                await self._acknowledge(client, deliveries)

    async def _commit(self, deliveries: list[Delivery]) -> bool:
        try:
            await asyncio.to_thread(self._store.add_all, deliveries)
        except sa.exc.SQLAlchemyError:
            # Not acknowledged, so the devices keep it and send it again.
            _LOG.exception(
                "could not store %d batches; the devices will repeat them", len(deliveries)
            )
            await asyncio.sleep(_STORE_RETRY_S)
            return False
        return True

    async def _acknowledge(self, client: aiomqtt.Client, deliveries: list[Delivery]) -> None:
        outboxes = {(delivery.device, delivery.batch.outbox_id) for delivery in deliveries}
        for device, outbox_id in sorted(outboxes):
            sequence = await asyncio.to_thread(self._store.contiguous, device, outbox_id)
            word = receipt_pb2.OutboxAcknowledgement(outbox_id=outbox_id, sequence=sequence)
            await self._command(
                client, device, metrics.ACKNOWLEDGED, value=word.SerializeToString()
            )

    async def _command(
        self, client: aiomqtt.Client, device: str, name: str, *, value: metrics.MetricValue
    ) -> None:
        now_ms = _now_ms()
        entry = metrics.metric(name, value, timestamp_ms=now_ms)
        payload = payload_pb2.Payload(timestamp=now_ms, metrics=[entry])
        await client.publish(topics.sparkplug("NCMD", device), payload.SerializeToString(), qos=1)


def _batch(reading: Reading) -> receipt_pb2.ReceiptBatch | None:
    value = reading.values.get(metrics.RECEIPTS)
    if not isinstance(value, bytes) or not value:
        return None
    batch = receipt_pb2.ReceiptBatch.FromString(value)
    check_outbox_id(batch.outbox_id)
    return batch


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
