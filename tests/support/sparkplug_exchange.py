"""Records every packet that a device and a cloud exchange through a real broker."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from nestling import sparkplug_metrics, topics
from nestling.sparkplug.v1 import payload_pb2
from nestling_cloud.metrics.queries import MetricQueries
from nestling_cloud.mqtt.broker_process import start_broker
from nestling_cloud.mqtt.client import BrokerAddress
from nestling_cloud.store.store import Store, store_url
from nestling_cloud.telemetry.ingest import Ingest
from nestling_core.telemetry.host_state import HostState, read_host_state
from nestling_device.telemetry.sparkplug_node import Gauges
from nestling_device.transport.mqtt_connection import Connection, Message
from tests.support.background import background, running
from tests.support.host_state import watching_state
from tests.support.mqtt_tap import Connect, Disconnect, MqttTap, Packet, Publish, Subscribe
from tests.support.processes import DEADLINE_S, until
from tests.support.reporting_device import DEVICE, ReportingDevice

UNBORN = "pi-9"
RECEIPTS = 300


class Host(NamedTuple):
    """A cloud's ingest and its event loop."""

    ingest: Ingest
    loop: asyncio.AbstractEventLoop

    def command(self, values: dict[str, sparkplug_metrics.MetricValue | None]) -> bool:
        """Send the device a command, and return whether it was sent."""
        sent = asyncio.run_coroutine_threadsafe(self.ingest.command(DEVICE, values), self.loop)
        return sent.result(DEADLINE_S)


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """The packets of a device and a cloud, and their effects.

    Attributes:
        node: packets of the device, in order.
        host: packets of the cloud, in order.
        online: whether the console showed the device as online, before and after its death.
        stored: number of receipts in the store.
    """

    node: list[Packet]
    host: list[Packet]
    online: tuple[bool, bool]
    stored: int

    def sent(self, kind: str) -> list[Publish]:
        """Return the messages of a kind, from the device and the cloud."""
        packets = [*self.node, *self.host]
        found = [one for one in packets if isinstance(one, Publish)]
        return [one for one in found if one.topic.split("/")[1:3][-1] == kind]

    def payloads(self, kind: str) -> list[payload_pb2.Payload]:
        """Return the payloads of the messages of a kind."""
        return [payload_pb2.Payload.FromString(one.payload) for one in self.sent(kind)]

    def entries(self, kind: str) -> list[sparkplug_metrics.Metric]:
        """Return the metrics of all messages of a kind."""
        return [entry for payload in self.payloads(kind) for entry in payload.metrics]

    @property
    def states(self) -> list[HostState]:
        """The cloud's STATE messages."""
        return [read_host_state(one.payload) for one in self.sent_states]

    @property
    def sent_states(self) -> list[Publish]:
        """The cloud's STATE messages as they were sent."""
        published = [one for one in self.host if isinstance(one, Publish)]
        return [one for one in published if one.topic == topics.HOST_STATE]

    @property
    def node_will(self) -> Publish:
        """The device's Will."""
        return _will(self.node)

    @property
    def host_will(self) -> Publish:
        """The cloud's Will."""
        return _will(self.host)

    def subscribed(self, packets: list[Packet]) -> dict[str, int]:
        """Return the subscribed topics and their QoS."""
        found = [one for one in packets if isinstance(one, Subscribe)]
        return {topic: qos for one in found for topic, qos in one.topics}


def run_exchange(folder: Path) -> Exchange:
    """Run a device and a cloud through every kind of message once."""
    with (
        start_broker() as broker,
        Store(store_url(str(folder / "receipts.sqlite"))) as store,
        watching_state(broker) as watcher,
        MqttTap(broker.port) as node_tap,
        MqttTap(broker.port) as host_tap,
    ):
        with background(lambda: _host(store, host_tap.port)) as host:
            born = watcher.next(online=True)
            with ReportingDevice(folder / "device", node_tap.port, broker.port) as device:
                until(lambda: _online(store) == [True])
                device.node.answer(0, RECEIPTS)
                assert device.node.flush()
                device.node.telemetry.set_gauges(Gauges(profile="pi-5", capacity=2))
                until(
                    lambda: [row.profile for row in MetricQueries(store).devices()[0]] == ["pi-5"]
                )
                assert host.command(
                    {
                        sparkplug_metrics.OFFLOAD_TARGET: 0.25,
                        sparkplug_metrics.DESIRED_BUNDLE: "b-2",
                    }
                )
                until(lambda: device.node.telemetry.desired_bundle == "b-2")
                assert host.command({sparkplug_metrics.OFFLOAD_TARGET: None})
                until(lambda: device.node.telemetry.target_share is None)
                watcher.publish(online=False, timestamp=born["timestamp"] - 1)
                watcher.next(online=True)
                device.eyes.ask_for_birth()
                device.node.answer(RECEIPTS, RECEIPTS + 2)
                assert device.node.flush()
                _send_without_birth(broker.port)
                host_tap.wait_for(topics.sparkplug("NCMD", UNBORN))
                online = _online(store)[0]
            until(lambda: _online(store) == [False])
            stored = sum(1 for _ in store.receipts(DEVICE))
        return Exchange(
            node=node_tap.packets(), host=host_tap.packets(), online=(online, False), stored=stored
        )


@contextlib.asynccontextmanager
async def _host(store: Store, port: int) -> AsyncIterator[Host]:
    ingest = Ingest(store, BrokerAddress(host="127.0.0.1", port=port))
    async with running(ingest.run(), ingest.subscribed):
        yield Host(ingest, asyncio.get_running_loop())


def _online(store: Store) -> list[bool]:
    return [row.online for row in MetricQueries(store).devices()[0] if row.device == DEVICE]


def _send_without_birth(port: int) -> None:
    """Publish data of a node that has published no birth."""
    payload = payload_pb2.Payload(seq=7, timestamp=1)
    payload.metrics.append(sparkplug_metrics.update(0.5, timestamp_ms=1, alias=3))
    client = Connection("127.0.0.1", port, client_id=UNBORN, subscriptions=["nobody"])
    topic = topics.sparkplug("NDATA", UNBORN)
    client.publish(Message(topic, payload.SerializeToString()), qos=1)
    client.close()


def _will(packets: list[Packet]) -> Publish:
    first = packets[0]
    assert isinstance(first, Connect)
    assert first.will is not None
    return first.will


def ends_with_disconnect(packets: list[Packet], topic: str) -> bool:
    """Return whether a connection ended with a message on a topic and then a DISCONNECT."""
    last, end = packets[-2:]
    return isinstance(end, Disconnect) and isinstance(last, Publish) and last.topic == topic
