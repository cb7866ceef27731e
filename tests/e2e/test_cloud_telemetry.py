"""Telemetry through a real broker: a node made of paho and the payload's messages alone."""

import contextlib
import json
import queue
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from tests.cloud_process import Cloud, StartCloud
from tests.processes import DEADLINE_S, until

from nestling import metrics, topics
from nestling.sparkplug.v1 import payload_pb2
from nestling.v1 import receipt_pb2
from nestling_cloud.broker import Broker, start_broker
from nestling_cloud.telemetry.store import Store, store_url

_ALIAS = 3


class Node:
    """An edge node that says what it is told to."""

    def __init__(self, host: str, port: int, device: str = "pi-1") -> None:
        self.commands: queue.Queue[payload_pb2.Payload.Metric] = queue.Queue()
        self.device = device
        self._subscribed: queue.Queue[int] = queue.Queue()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda _c, _d, mid, _codes, _props: self._subscribed.put(mid)
        self._client.connect(host, port)
        self._client.loop_start()
        self._client.subscribe(topics.sparkplug("NCMD", device), qos=1)
        self._subscribed.get(timeout=DEADLINE_S)

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        for entry in payload_pb2.Payload.FromString(bytes(message.payload)).metrics:
            self.commands.put(entry)

    def publish(self, message_type: str, payload: bytes) -> None:
        topic = topics.sparkplug(message_type, self.device)
        self._client.publish(topic, payload, qos=1).wait_for_publish(DEADLINE_S)

    def birth(self) -> None:
        payload = payload_pb2.Payload(seq=0, timestamp=1)
        payload.metrics.append(metrics.metric(metrics.BD_SEQ, 0, timestamp_ms=1))
        payload.metrics.append(metrics.metric(metrics.REBIRTH, False, timestamp_ms=1))
        payload.metrics.append(metrics.metric(metrics.RECEIPTS, b"", timestamp_ms=1, alias=_ALIAS))
        self.publish("NBIRTH", payload.SerializeToString())

    def data(self, seq: int, batch: bytes, name: str = "") -> None:
        payload = payload_pb2.Payload(seq=seq, timestamp=1)
        alias = None if name else _ALIAS
        payload.metrics.append(metrics.metric(name, batch, timestamp_ms=1, alias=alias))
        self.publish("NDATA", payload.SerializeToString())

    def command(self) -> payload_pb2.Payload.Metric:
        return self.commands.get(timeout=DEADLINE_S)

    def acknowledged(self) -> tuple[str, int]:
        """Next acknowledgement's outbox and sequence."""
        entry = self.command()
        assert entry.name == metrics.ACKNOWLEDGED
        word = receipt_pb2.OutboxAcknowledgement.FromString(entry.bytes_value)
        return word.outbox_id, word.sequence

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def batch_of(*sequences: int) -> bytes:
    batch = receipt_pb2.ReceiptBatch(outbox_id="outbox")
    for sequence in sequences:
        receipt = batch.receipts.add(sequence=sequence, input_index=sequence, answer=1)
        receipt.route.CopyFrom(receipt_pb2.Route(capacity=1, reason=receipt_pb2.REASON_ACCEPTED))
        receipt.latency_provenance = receipt_pb2.PROVENANCE_MODELLED
    return batch.SerializeToString()


@pytest.fixture
def broker() -> Iterator[Broker]:
    with start_broker() as started:
        yield started


@pytest.fixture
def node(cloud: Cloud) -> Iterator[Node]:
    made = Node(cloud.broker.host, cloud.broker.port)
    yield made
    made.close()


def stored(path: Path) -> list[tuple[str, int]]:
    with Store(store_url(str(path))) as store:
        return [(row.device, row.sequence) for row in store.receipts()]


def test_receipts_are_stored_once_and_then_acknowledged(cloud: Cloud, node: Node) -> None:
    node.birth()
    node.data(1, batch_of(1, 2))
    assert node.acknowledged() == ("outbox", 2)
    node.data(2, batch_of(2, 3))
    assert node.acknowledged() == ("outbox", 3)

    assert cloud.stop() == 0

    assert stored(cloud.store) == [("pi-1", 1), ("pi-1", 2), ("pi-1", 3)]


def test_hole_is_not_acknowledged(node: Node) -> None:
    node.birth()
    node.data(1, batch_of(1))
    assert node.acknowledged() == ("outbox", 1)
    node.data(2, batch_of(3))

    assert node.acknowledged() == ("outbox", 1)


def test_unknown_node_is_asked_for_its_birth(node: Node) -> None:
    node.data(17, batch_of(1))

    entry = node.command()
    assert (entry.name, entry.boolean_value) == (metrics.REBIRTH, True)


def test_missed_message_asks_for_a_rebirth(node: Node) -> None:
    node.birth()
    node.data(2, batch_of(1))

    entry = node.command()
    assert (entry.name, entry.boolean_value) == (metrics.REBIRTH, True)
    assert node.acknowledged() == ("outbox", 1)


def test_what_cannot_be_read_is_dropped_and_the_next_message_taken(node: Node) -> None:
    node.birth()
    node.publish("NDATA", b"\xff\xff no payload")
    node.publish("NBIRTH", b"\x0a\xff")
    node.publish("NDEATH", b"\xff")
    node.data(1, b"\xff no batch")
    node.data(2, receipt_pb2.ReceiptBatch(outbox_id="").SerializeToString())
    node.data(3, batch_of(1))

    assert node.acknowledged() == ("outbox", 1)


def test_host_state_is_on_the_broker_for_strangers(start_cloud: StartCloud, broker: Broker) -> None:
    program = shutil.which("mosquitto_sub")
    if program is None:
        pytest.skip("mosquitto_sub is not installed")
    command = [program, "-h", broker.host, "-p", str(broker.port), "-t", "spBv1.0/STATE/+", "-v"]
    with subprocess.Popen(
        [*command, "-C", "4", "-W", "30"], stdout=subprocess.PIPE, text=True
    ) as watcher:
        assert watcher.stdout is not None
        start_cloud("--broker", broker.address).stop(signal.SIGTERM)
        start_cloud("--broker", broker.address).stop(signal.SIGKILL)
        lines = watcher.stdout.readlines()

    found = [line.split(" ", 1) for line in lines]
    assert {topic for topic, _ in found} == {topics.HOST_STATE}
    states = [json.loads(state) for _, state in found]
    assert [state["online"] for state in states] == [True, False, True, False]
    assert states[2]["timestamp"] == states[3]["timestamp"]  # the Will's is its birth's


def test_telemetry_goes_on_after_the_broker_was_away(start_cloud: StartCloud) -> None:
    with start_broker() as first:
        cloud = start_cloud("--broker", first.address)
        node = Node(first.host, first.port)
        node.birth()
        node.data(1, batch_of(1))
        assert node.acknowledged() == ("outbox", 1)
        node.close()

    with start_broker(port=first.port) as second:
        state: queue.Queue[bytes] = queue.Queue()
        watcher = mqtt.Client(CallbackAPIVersion.VERSION2)
        watcher.on_message = lambda _client, _data, message: state.put(bytes(message.payload))
        watcher.connect(second.host, second.port)
        watcher.loop_start()
        watcher.subscribe(topics.HOST_STATE, qos=1)
        assert json.loads(state.get(timeout=DEADLINE_S))["online"]
        watcher.disconnect()
        watcher.loop_stop()

        node = Node(second.host, second.port)
        node.birth()
        node.data(1, batch_of(2))
        assert node.acknowledged() == ("outbox", 2)
        node.close()
        assert cloud.stop() == 0


def test_batch_that_could_not_be_stored_is_not_acknowledged(cloud: Cloud, node: Node) -> None:
    node.birth()
    node.data(1, batch_of(1))
    assert node.acknowledged() == ("outbox", 1)

    with contextlib.closing(sqlite3.connect(cloud.store)) as other:
        other.execute("ALTER TABLE receipts RENAME TO away")
        node.data(2, batch_of(2))
        until(lambda: "could not store 1 batches" in cloud.log.read_text())
        other.execute("ALTER TABLE away RENAME TO receipts")
    assert node.commands.empty()
    node.data(3, batch_of(2))

    assert node.acknowledged() == ("outbox", 2)
