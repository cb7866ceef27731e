"""Telemetry from the broker into the store, and the acknowledgements back.

A receipt is acknowledged after the commit that holds it, never before; what a crash or a lost
message leaves unacknowledged the device sends again.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import aiomqtt
import sqlalchemy as sa
from google.protobuf.message import DecodeError

from nestling import sparkplug_metrics, topics
from nestling.sparkplug.v1 import payload_pb2
from nestling.v1 import receipt_pb2
from nestling_cloud.mqtt.client import BrokerAddress, payload_bytes, stay_connected
from nestling_cloud.store import device_registry
from nestling_cloud.store.database import cause_of
from nestling_cloud.store.receipt_row import ReceiptError
from nestling_cloud.store.store import CommitResult, Delivery, Store, check_batch
from nestling_cloud.telemetry.host_presence import HostPresence
from nestling_cloud.telemetry.ingest_status import IngestStatus
from nestling_cloud.telemetry.sparkplug_host import MessageContent, SparkplugHost
from nestling_core.clock import unix_ms
from nestling_core.parsing.throttled_log import ThrottledLog
from nestling_core.telemetry.host_state import HostState

_MESSAGE_TYPES = ("NBIRTH", "NDATA", "NDEATH")
# A commit has a threshold of its own, whatever it holds: wait for others that may go in together.
_GATHER_S = 0.1
_MAX_DELIVERIES_A_COMMIT = 1000
_MAX_RECEIPTS_A_COMMIT = 20_000
# Before a full queue makes the reader wait.
_MAX_WAITING = 4000
_STORE_RETRY_S = 1.0

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class DeviceMessage:
    """What a device said.

    Attributes:
        device: its id.
        born: whether this is its birth certificate, which says everything.
        values: its metrics by name, None for one that is null.
    """

    device: str
    born: bool
    values: Mapping[str, sparkplug_metrics.MetricValue | None]


class Ingest:
    """The fleet's Sparkplug host.

    Args:
        store: where receipts go.
        broker: where devices publish.
        heard: called in the event loop with every birth and data message, in their order; has to
            return at once.
    """

    def __init__(
        self,
        store: Store,
        broker: BrokerAddress,
        *,
        heard: Callable[[DeviceMessage], None] | None = None,
    ) -> None:
        self._store = store
        self._broker = broker
        self._heard = heard
        self._host = SparkplugHost()
        self._waiting: asyncio.Queue[Delivery] = asyncio.Queue(_MAX_WAITING)
        self._reports: dict[str, device_registry.Report] = {}  # not written yet
        self._news = asyncio.Event()
        self._connected: aiomqtt.Client | None = None
        self._presence = HostPresence()
        self._complaints = ThrottledLog(_LOG)
        self._store_fault = ""  # why the last commit failed
        self._storing: asyncio.Task[CommitResult | None] | None = None  # the last commit
        self.subscribed = asyncio.Event()  # set from the first subscription on

    async def run(self) -> None:
        """Take telemetry in until cancelled; a broker that goes away is awaited."""
        await stay_connected(self._client, self._serve)

    def uplink(self) -> IngestStatus:
        """Tell whether devices are heard and what they say is stored. For any thread."""
        return IngestStatus(
            broker=str(self._broker),
            connected=self._connected is not None,
            store_fault=self._store_fault,
        )

    async def command(
        self, device: str, values: Mapping[str, sparkplug_metrics.MetricValue | None]
    ) -> bool:
        """Send a device a command; None for a value is Sparkplug's null.

        Returns:
            Whether it is on its way. It may get lost, as everything with QoS 0: a device reports
            what it was told. One that is offline, as far as we know, is sent nothing.
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
        leaves = True
        try:
            await self._say(client, self._presence.birth())
            await self._ask_who_is_there(client)
            self._connected = client
            self.subscribed.set()
            work += [
                asyncio.create_task(self._read(client), name="telemetry-messages"),
                asyncio.create_task(self._commit_all(client), name="telemetry-commits"),
            ]
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # the error, unless the reader wants another connection
            leaves = False
        finally:
            self._connected = None
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            if leaves:
                await self._say_goodbye(client)

    async def _ask_who_is_there(self, client: aiomqtt.Client) -> None:
        """Ask those who were there when we last listened: births and deaths since went unheard."""
        self._host.end_all()
        if self._storing is not None:  # what it says is from before
            await asyncio.wait([self._storing])
        self._reports = {
            device: replace(report, online=False) for device, report in self._reports.items()
        }
        try:
            devices = await asyncio.to_thread(self._end_all)
        except sa.exc.SQLAlchemyError as err:
            _LOG.warning("could not take the devices for offline: %s", cause_of(err))
            return
        for device in devices:
            await self._ask_for_birth(client, device)

    def _end_all(self) -> list[str]:
        with self._store.writing() as connection:
            return device_registry.end_all(connection)

    async def _read(self, client: aiomqtt.Client) -> None:
        """Take messages in; returns where only another connection can bring us back online."""
        async for message in client.messages:
            if message.topic.value != topics.HOST_STATE:
                await self._take(client, message)
                continue
            answer = self._presence.hear(payload_bytes(message), retained=message.retain)
            if answer == "connect again":
                return
            if answer == "say again":
                await self._say(client, self._presence.birth())

    async def _say_goodbye(self, client: aiomqtt.Client) -> None:
        try:
            await self._say(client, self._presence.goodbye(now_ms=unix_ms()), timeout_s=1)
        except aiomqtt.MqttError:
            _LOG.debug("the broker went first; our Will says the same")

    @staticmethod
    async def _say(
        client: aiomqtt.Client, state: HostState, *, timeout_s: float | None = None
    ) -> None:
        payload = state.to_payload()
        await client.publish(topics.HOST_STATE, payload, qos=1, retain=True, timeout=timeout_s)

    async def _take(self, client: aiomqtt.Client, message: aiomqtt.Message) -> None:
        _, _, message_type, device = message.topic.value.split("/")
        try:
            topics.check_device_id(device)
            payload = payload_pb2.Payload.FromString(payload_bytes(message))
            reading = self._understand(message_type, device, payload)
            batch = _batch(reading)
        except (ValueError, DecodeError, ReceiptError) as err:
            self._complaints.add(message_type, device, err)
            return
        if reading.ask_rebirth:
            await self._ask_for_birth(client, device)
        self._report(device, reading)
        if self._heard is not None and message_type != "NDEATH":
            born = message_type == "NBIRTH"
            self._heard(DeviceMessage(device=device, born=born, values=reading.values))
        if batch is not None:
            await self._waiting.put(Delivery(device=device, batch=batch))
        self._news.set()

    def _understand(
        self, message_type: str, device: str, payload: payload_pb2.Payload
    ) -> MessageContent:
        if message_type == "NBIRTH":
            return self._host.birth(device, payload)
        if message_type == "NDATA":
            return self._host.data(device, payload, now_ms=unix_ms())
        return self._host.death(device, payload)

    def _report(self, device: str, reading: MessageContent) -> None:
        report = device_registry.report(
            device, reading.values, seen_ms=unix_ms(), online=reading.online
        )
        self._reports[device] = device_registry.join(self._reports.get(device), report)

    async def _commit_all(self, client: aiomqtt.Client) -> None:
        while True:
            await self._news.wait()
            if self._waiting.qsize() < _MAX_DELIVERIES_A_COMMIT:
                await asyncio.sleep(_GATHER_S)
            self._news.clear()
            deliveries = self._gather()
            if not self._waiting.empty():
                self._news.set()
            await self._commit(client, deliveries)

    def _gather(self) -> list[Delivery]:
        deliveries: list[Delivery] = []
        receipts = 0
        while (
            not self._waiting.empty()
            and len(deliveries) < _MAX_DELIVERIES_A_COMMIT
            and receipts < _MAX_RECEIPTS_A_COMMIT
        ):
            deliveries.append(self._waiting.get_nowait())
            receipts += len(deliveries[-1].batch.receipts)
        return deliveries

    async def _commit(self, client: aiomqtt.Client, deliveries: Sequence[Delivery]) -> None:
        # It ends in a thread, whatever becomes of the connection.
        self._storing = asyncio.create_task(self._add_all(deliveries), name="telemetry-commit")
        added = await asyncio.shield(self._storing)
        if added is None:
            await asyncio.sleep(_STORE_RETRY_S)
        else:
            await self._acknowledge(client, added)

    async def _add_all(self, deliveries: Sequence[Delivery]) -> CommitResult | None:
        """Store batches and reports; None if that failed, and the reports wait on."""
        reports, self._reports = self._reports, {}
        try:
            added = await asyncio.to_thread(self._store.add_all, deliveries, list(reports.values()))
        except sa.exc.SQLAlchemyError as err:
            # Not acknowledged, so the devices keep it and send it again.
            fault = str(cause_of(err))
            if fault != self._store_fault:  # once, and not every second that it lasts
                _LOG.warning(
                    "could not store %d batches; the devices will repeat them: %s",
                    len(deliveries),
                    fault,
                )
            self._store_fault = fault
            for device, later in self._reports.items():
                reports[device] = device_registry.join(reports.get(device), later)
            self._reports = reports
            self._news.set()
            return None
        self._store_fault = ""
        return added

    async def _acknowledge(self, client: aiomqtt.Client, added: CommitResult) -> None:
        for device, word in added.acknowledgements():
            await self._send(
                client, device, {sparkplug_metrics.ACKNOWLEDGED: word.SerializeToString()}
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
        # QoS 0, as Sparkplug has it: what gets lost is said again.
        await client.publish(topics.sparkplug("NCMD", device), command.SerializeToString())


def _batch(reading: MessageContent) -> receipt_pb2.ReceiptBatch | None:
    value = reading.values.get(sparkplug_metrics.RECEIPTS)
    if not isinstance(value, bytes) or not value:
        return None
    batch = receipt_pb2.ReceiptBatch.FromString(value)
    check_batch(batch)
    return batch
