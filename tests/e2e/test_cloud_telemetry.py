"""The cloud stores telemetry that a scripted node sends through a real broker."""

import contextlib
import json
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from nestling import sparkplug_metrics, topics
from nestling.v1 import receipt_pb2
from nestling_cloud.metrics.queries import MetricQueries
from nestling_cloud.metrics.views import DeviceRow
from nestling_cloud.mqtt.broker_process import Broker, BrokerKind, start_broker
from nestling_cloud.store.store import Store, store_url
from tests.support.cloud_process import Cloud, StartCloud
from tests.support.edge_node import Node, batch_of
from tests.support.postgres import Postgres
from tests.support.processes import until
from tests.support.stored import count_redelivered
from tests.support.subscriber import subscribed


@pytest.fixture
def broker() -> Iterator[Broker]:
    with start_broker() as started:
        yield started


@pytest.fixture
def node(cloud: Cloud) -> Iterator[Node]:
    made = Node(cloud.broker.host, cloud.broker.port)
    yield made
    made.close()


def devices(cloud: Cloud) -> list[DeviceRow]:
    """Return the devices in the store of a running cloud."""
    with Store(store_url(str(cloud.store))) as store:
        return MetricQueries(store).devices()[0]


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
    assert (entry.name, entry.boolean_value) == (sparkplug_metrics.REBIRTH, True)


def test_missed_message_asks_for_a_rebirth(node: Node) -> None:
    node.birth()
    node.data(2, batch_of(1))

    entry = node.command()
    assert (entry.name, entry.boolean_value) == (sparkplug_metrics.REBIRTH, True)
    assert node.acknowledged() == ("outbox", 1)


def test_unreadable_message_is_dropped_and_the_next_one_is_read(node: Node) -> None:
    node.birth()
    node.publish("NDATA", b"\xff\xff no payload")
    node.publish("NBIRTH", b"\x0a\xff")
    node.publish("NDEATH", b"\xff")
    node.data(1, b"\xff no batch")
    node.data(2, receipt_pb2.ReceiptBatch(outbox_id="").SerializeToString())
    node.data(3, batch_of(1))

    assert node.acknowledged() == ("outbox", 1)


def test_host_state_is_published_on_the_broker(start_cloud: StartCloud, broker: Broker) -> None:
    with subscribed(broker.host, broker.port, "spBv1.0/STATE/+") as stranger:
        start_cloud("--broker", broker.address).stop(signal.SIGTERM)
        start_cloud("--broker", broker.address).stop(signal.SIGKILL)
        found = [stranger.take() for _ in range(4)]

    assert {topic for topic, _ in found} == {topics.HOST_STATE}
    states = [json.loads(payload) for _, payload in found]
    assert [state["online"] for state in states] == [True, False, True, False]
    assert states[2]["timestamp"] == states[3]["timestamp"]  # the Will has the birth's timestamp


def test_telemetry_continues_after_the_broker_was_away(
    start_cloud: StartCloud, broker_kind: BrokerKind
) -> None:
    with start_broker(kind=broker_kind) as first:
        cloud = start_cloud("--broker", first.address)
        node = Node(first.host, first.port)
        node.birth()
        node.data(1, batch_of(1))
        assert node.acknowledged() == ("outbox", 1)
        node.close()

    with start_broker(port=first.port, kind=broker_kind) as second:
        with subscribed(second.host, second.port, topics.HOST_STATE) as stranger:
            assert json.loads(stranger.take().payload)["online"]

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


def test_registry_follows_births_data_and_deaths(cloud: Cloud, node: Node) -> None:
    node.birth({sparkplug_metrics.PROFILE: "pi-5", sparkplug_metrics.OFFLOAD_SHARE: 0.25})
    node.data(1, batch_of(1, 2))
    assert node.acknowledged() == ("outbox", 2)

    (row,) = devices(cloud)
    assert (row.device, row.profile, row.online, row.answers) == ("pi-1", "pi-5", True, 2)
    assert row.offload_share == 0.25
    node.death()

    until(lambda: not devices(cloud)[0].online)


def test_node_that_vanishes_goes_offline_by_its_will(cloud: Cloud) -> None:
    node = Node(cloud.broker.host, cloud.broker.port, "pi-2", will=True)
    node.birth()
    until(lambda: [row.online for row in devices(cloud)] == [True])

    node.vanish()

    until(lambda: [row.online for row in devices(cloud)] == [False])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_restarted_cloud_marks_devices_offline_and_asks_for_births(
    start_cloud: StartCloud, broker: Broker, number: signal.Signals
) -> None:
    first = start_cloud("--broker", broker.address)
    node, gone = (Node(broker.host, broker.port, name) for name in ("pi-1", "pi-2"))
    node.birth()
    gone.birth()
    until(lambda: [row.online for row in devices(first)] == [True, True])
    first.stop(number)
    gone.death()
    gone.close()

    second = start_cloud("--broker", broker.address)

    entry = node.command()
    assert (entry.name, entry.boolean_value) == (sparkplug_metrics.REBIRTH, True)
    assert [row.online for row in devices(second)] == [False, False]
    node.birth()
    until(lambda: [row.online for row in devices(second)] == [True, False])
    node.close()


def test_receipts_are_stored_once_in_postgresql_through_a_killed_cloud(
    start_cloud: StartCloud, broker: Broker, postgres_server: Postgres
) -> None:
    url = postgres_server.new_database()
    flags = ("--broker", broker.address, "--store", url)
    node = Node(broker.host, broker.port)
    first = start_cloud(*flags)
    node.birth()
    node.data(1, batch_of(1, 2))
    assert node.acknowledged() == ("outbox", 2)
    first.stop(signal.SIGKILL)
    start_cloud(*flags)
    assert node.command().name == sparkplug_metrics.REBIRTH
    node.birth()

    node.data(1, batch_of(1, 2, 3))

    assert node.acknowledged() == ("outbox", 3)
    with Store(url) as store:
        assert [row.sequence for row in store.receipts()] == [1, 2, 3]
        assert count_redelivered(store) == 2
    node.close()
