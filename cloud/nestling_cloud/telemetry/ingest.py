"""Receives telemetry from the broker, stores it, and acknowledges it to the devices.

A receipt is acknowledged only after it has been committed. After a crash or a lost message, the
device repeats the receipts that were not acknowledged.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Protocol

import aiomqtt
import sqlalchemy as sa
from google.protobuf.message import DecodeError

from nestling import sparkplug_metrics, topics
from nestling.sparkplug.v1 import payload_pb2
from nestling.v1 import receipt_pb2
from nestling_cloud.mqtt.client import BrokerAddress, payload_bytes, stay_connected
from nestling_cloud.store import device_registry
from nestling_cloud.store.database import cause_of
from nestling_cloud.store.delivery import Delivery
from nestling_cloud.store.receipt_validation import ReceiptError
from nestling_cloud.store.store import Store
from nestling_cloud.telemetry.commit_queue import CommitQueue
from nestling_cloud.telemetry.host_presence import HostPresence
from nestling_cloud.telemetry.ingest_status import IngestStatus
from nestling_cloud.telemetry.sparkplug_host import MessageContent, SparkplugHost
from nestling_core.clock import unix_ms
from nestling_core.parsing.throttled_log import ThrottledLog
from nestling_core.telemetry.host_state import HostState

_MESSAGE_TYPES = ("NBIRTH", "NDATA", "NDEATH")

_LOG = logging.getLogger(__name__)


class OnMessage(Protocol):
    """Takes the metrics of a device's message; `born` marks a birth, which has every metric."""

    def __call__(
        self, device: str, values: Mapping[str, sparkplug_metrics.MetricValue | None], *, born: bool
    ) -> None: ...


class Ingest:
    """Receives, stores and acknowledges telemetry, as the fleet's Sparkplug host.

    Attributes:
        subscribed: an event that is set once this object has first subscribed to the telemetry.

    Args:
        store: the store for receipts and device reports.
        broker: the address of the broker to which devices publish.
        on_message: a function that is called with every birth and data message, in order, or None.
            The call is made in the event loop, so it must return at once.
    """

    def __init__(
        self,
        store: Store,
        broker: BrokerAddress,
        *,
        on_message: OnMessage | None = None,
    ) -> None:
        self._queue = CommitQueue(store)
        self._broker = broker
        self._on_message = on_message
        self._host = SparkplugHost()
        self._connected: aiomqtt.Client | None = None
        self._presence = HostPresence()
        self._unreadable = ThrottledLog(_LOG)
        self.subscribed = asyncio.Event()

    async def run(self) -> None:
        """Receive telemetry until cancelled, and reconnect whenever the broker goes away."""
        await stay_connected(self._client, self._serve)

    def uplink(self) -> IngestStatus:
        """Return whether the broker is connected and whether the last commit succeeded.

        Any thread may call this method.
        """
        return IngestStatus(
            broker=str(self._broker),
            connected=self._connected is not None,
            store_fault=self._queue.fault,
        )

    async def command(
        self, device: str, values: Mapping[str, sparkplug_metrics.MetricValue | None]
    ) -> bool:
        """Send a command to a device if the device is known to be online.

        Args:
            device: the device's id.
            values: the metrics to write, by name; None for Sparkplug's null.

        Returns:
            Whether the command was sent. With QoS 0 it may still get lost, but devices report the
            values that they received.
        """
        if self._connected is None or not self._host.is_online(device):
            return False
        try:
            await self._send(self._connected, device, values)
        except aiomqtt.MqttError as err:
            _LOG.warning("could not send a command to %s: %s", device, err)
            return False
        return True

    def _client(self) -> aiomqtt.Client:
        will = self._presence.connect(now_ms=unix_ms()).to_payload()
        return self._broker.client(will=aiomqtt.Will(topics.HOST_STATE, will, qos=1, retain=True))

    async def _serve(self, client: aiomqtt.Client) -> None:
        await client.subscribe(topics.HOST_STATE, qos=1)
        for message_type in _MESSAGE_TYPES:
            await client.subscribe(topics.sparkplug(message_type, "+"), qos=1)
        work: list[asyncio.Task[None]] = []
        stopping = True
        try:
            await self._publish_state(client, self._presence.birth())
            await self._request_births(client)
            self._connected = client
            self.subscribed.set()
            work += [
                asyncio.create_task(self._read(client), name="telemetry-messages"),
                asyncio.create_task(self._acknowledge_all(client), name="telemetry-commits"),
            ]
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # raises, unless the reader asks for another connection
            stopping = False
        finally:
            self._connected = None
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            if stopping:
                await self._publish_goodbye(client)

    async def _request_births(self, client: aiomqtt.Client) -> None:
        """Mark all devices offline, and ask every device that was online for its birth certificate.

        Births and deaths may have been missed while this host was disconnected.
        """
        self._host.end_all()
        try:
            devices = await self._queue.end_all()
        except sa.exc.SQLAlchemyError as err:
            _LOG.warning("could not mark the devices offline: %s", cause_of(err))
            return
        for device in devices:
            await self._ask_for_birth(client, device)

    async def _read(self, client: aiomqtt.Client) -> None:
        """Handle messages until only a new connection can bring this host back online."""
        async for message in client.messages:
            if message.topic.value != topics.HOST_STATE:
                await self._take(client, message)
                continue
            reaction = self._presence.receive(payload_bytes(message), retained=message.retain)
            if reaction == "reconnect":
                return
            if reaction == "publish birth":
                await self._publish_state(client, self._presence.birth())

    async def _publish_goodbye(self, client: aiomqtt.Client) -> None:
        goodbye = self._presence.goodbye(now_ms=unix_ms())
        try:
            await self._publish_state(client, goodbye, timeout_s=1)
        except aiomqtt.MqttError:
            _LOG.debug("the broker is gone already; it publishes our Will instead")

    @staticmethod
    async def _publish_state(
        client: aiomqtt.Client, state: HostState, *, timeout_s: float | None = None
    ) -> None:
        payload = state.to_payload()
        await client.publish(topics.HOST_STATE, payload, qos=1, retain=True, timeout=timeout_s)

    async def _take(self, client: aiomqtt.Client, message: aiomqtt.Message) -> None:
        _, _, message_type, device = message.topic.value.split("/")
        try:
            topics.check_device_id(device)
            payload = payload_pb2.Payload.FromString(payload_bytes(message))
            content = self._read_payload(message_type, device, payload)
            delivery = _delivery(device, content)
        except (ValueError, DecodeError, ReceiptError) as err:
            self._unreadable.add(message_type, device, err)
            return
        if content.ask_rebirth:
            await self._ask_for_birth(client, device)
        self._queue.report(
            device_registry.report(device, content.values, seen_ms=unix_ms(), online=content.online)
        )
        if self._on_message is not None and message_type != "NDEATH":
            self._on_message(device, content.values, born=message_type == "NBIRTH")
        if delivery is not None:
            await self._queue.put(delivery)

    def _read_payload(
        self, message_type: str, device: str, payload: payload_pb2.Payload
    ) -> MessageContent:
        if message_type == "NBIRTH":
            return self._host.birth(device, payload)
        if message_type == "NDATA":
            return self._host.data(device, payload, now_ms=unix_ms())
        return self._host.death(device, payload)

    async def _acknowledge_all(self, client: aiomqtt.Client) -> None:
        while True:
            added = await self._queue.commit()
            for device, message in added.acknowledgements():
                await self._send(
                    client, device, {sparkplug_metrics.ACKNOWLEDGED: message.SerializeToString()}
                )

    async def _send(
        self,
        client: aiomqtt.Client,
        device: str,
        values: Mapping[str, sparkplug_metrics.MetricValue | None],
    ) -> None:
        await self._publish(client, device, self._host.command(device, values, now_ms=unix_ms()))

    async def _ask_for_birth(self, client: aiomqtt.Client, device: str) -> None:
        await self._publish(client, device, self._host.rebirth(device, now_ms=unix_ms()))

    @staticmethod
    async def _publish(client: aiomqtt.Client, device: str, command: payload_pb2.Payload) -> None:
        # QoS 0 as Sparkplug requires: lost commands are repeated.
        await client.publish(topics.sparkplug("NCMD", device), command.SerializeToString())


def _delivery(device: str, content: MessageContent) -> Delivery | None:
    value = content.values.get(sparkplug_metrics.RECEIPTS)
    if not isinstance(value, bytes) or not value:
        return None
    return Delivery(device=device, batch=receipt_pb2.ReceiptBatch.FromString(value))
