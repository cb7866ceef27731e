"""The device's edge node with a real broker, the cloud's ingest and an observing client."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nestling import sparkplug_metrics, topics
from nestling.sparkplug.v1 import payload_pb2
from nestling.sparkplug_metrics import metric_value
from nestling.v1 import receipt_pb2
from nestling_cloud.mqtt.broker_process import Broker, BrokerKind, start_broker
from nestling_cloud.store.store import Store, store_url
from nestling_device.telemetry.outbox import Outbox
from nestling_device.telemetry.sparkplug_node import Gauges
from nestling_device.transport.mqtt_connection import Message
from nestling_sim.fleet.links import CuttableLink
from tests.support.background import background, ingest
from tests.support.mqtt_tap import Connect, MqttTap, Publish
from tests.support.processes import until
from tests.support.receipts import acknowledgement
from tests.support.reporting_device import DEVICE, Eyes, Node, receipt
from tests.support.stored import losses


def named(payload: payload_pb2.Payload) -> dict[str, sparkplug_metrics.MetricValue | None]:
    return {entry.name: metric_value(entry) for entry in payload.metrics}


def batch_of(birth: payload_pb2.Payload, data: payload_pb2.Payload) -> receipt_pb2.ReceiptBatch:
    (alias,) = (entry.alias for entry in birth.metrics if entry.name == sparkplug_metrics.RECEIPTS)
    (value,) = (metric_value(entry) for entry in data.metrics if entry.alias == alias)
    assert isinstance(value, bytes)
    return receipt_pb2.ReceiptBatch.FromString(value)


@pytest.fixture
def broker(broker_kind: BrokerKind) -> Iterator[Broker]:
    with start_broker(kind=broker_kind) as broker:
        yield broker


@pytest.fixture
def link(broker: Broker) -> Iterator[CuttableLink]:
    with CuttableLink(DEVICE, broker.host, broker.port) as link:
        yield link


@pytest.fixture
def eyes(broker: Broker) -> Iterator[Eyes]:
    eyes = Eyes(broker.port)
    yield eyes
    eyes.line.close()


@pytest.fixture
def node(tmp_path: Path, link: CuttableLink, eyes: Eyes) -> Iterator[Node]:
    node = Node(tmp_path / "device", link.port)
    yield node
    node.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(store_url(str(tmp_path / "receipts.sqlite"))) as store:
        yield store


def stored(store: Store) -> list[int]:
    return sorted(row.input_index for row in store.receipts(DEVICE))


def test_broken_connection_publishes_the_will_and_the_next_birth_has_the_next_bd_seq(
    node: Node, link: CuttableLink, eyes: Eyes
) -> None:
    first = named(eyes.next("NBIRTH"))[sparkplug_metrics.BD_SEQ]
    link.cut()
    death = named(eyes.next("NDEATH"))
    link.restore()
    second = named(eyes.next("NBIRTH"))[sparkplug_metrics.BD_SEQ]

    assert death == {sparkplug_metrics.BD_SEQ: first}
    assert (first, second) == (0, 1)


def test_every_will_that_a_broker_heard_has_a_number_of_its_own(
    tmp_path: Path, broker: Broker
) -> None:
    with MqttTap(broker.port, drop=True) as tap:
        node = Node(tmp_path / "device", tap.port)
        until(lambda: len(connects(tap)) >= 3)
        tap.drop = False
        (birth,) = tap.wait_for(topics.sparkplug("NBIRTH", DEVICE))
        node.close()
        wills = [named(payload_pb2.Payload.FromString(one.payload)) for one in connects(tap)]

    numbers = [will[sparkplug_metrics.BD_SEQ] for will in wills]
    assert numbers == list(range(len(numbers)))
    last = named(payload_pb2.Payload.FromString(birth.payload))[sparkplug_metrics.BD_SEQ]
    assert numbers[-1] == last


def connects(tap: MqttTap) -> list[Publish]:
    """Return the Wills in order of the connections."""
    packets = [one for one in tap.packets() if isinstance(one, Connect)]
    return [one.will for one in packets if one.will is not None]


def test_orderly_end_publishes_a_death(node: Node, eyes: Eyes) -> None:
    birth = named(eyes.next("NBIRTH"))

    node.telemetry.close()

    assert named(eyes.next("NDEATH")) == {sparkplug_metrics.BD_SEQ: birth[sparkplug_metrics.BD_SEQ]}


def test_rebirth_request_is_answered_with_the_receipts_again(node: Node, eyes: Eyes) -> None:
    birth = eyes.next("NBIRTH")
    node.answer(0, 1)
    first = eyes.next("NDATA")

    again = eyes.ask_for_birth()[-1]
    resent = eyes.next("NDATA")

    assert (again.seq, resent.seq) == (0, 1)
    assert named(again)[sparkplug_metrics.BD_SEQ] == named(birth)[sparkplug_metrics.BD_SEQ]
    assert batch_of(birth, first) == batch_of(again, resent)
    assert [entry.is_historical for entry in (first.metrics[-1], resent.metrics[-1])] == [
        False,
        True,
    ]


def test_unacknowledged_receipts_are_sent_again(tmp_path: Path, broker: Broker, eyes: Eyes) -> None:
    impatient = Node(tmp_path / "impatient", broker.port, resend_after_s=0.05)
    try:
        birth = eyes.next("NBIRTH")
        impatient.answer(0, 1)
        first, second = eyes.next("NDATA"), eyes.next("NDATA")

        assert batch_of(birth, first) == batch_of(birth, second)
    finally:
        impatient.close()


def test_only_a_valid_acknowledgement_empties_the_outbox(node: Node, eyes: Eyes) -> None:
    eyes.next("NBIRTH")
    node.answer(0, 3)
    message = acknowledgement(node.outbox, 3)
    outbox_id, message.outbox_id = message.outbox_id, "another"
    eyes.command(sparkplug_metrics.ACKNOWLEDGED, message.SerializeToString())
    eyes.command(sparkplug_metrics.ACKNOWLEDGED, b"\xff\xff\xff")
    eyes.line.publish(Message(topics.sparkplug("NCMD", DEVICE), b"\xff\xff\xff"))
    eyes.ask_for_birth()  # its answer shows that all of these were processed
    assert node.outbox.marks().depth == 3

    message.outbox_id = outbox_id
    eyes.command(sparkplug_metrics.ACKNOWLEDGED, message.SerializeToString())

    assert node.flush()


@pytest.mark.parametrize("payload", [b"[" * 100_000, b"9" * 5000, b"\xff", b"NaN", b"[]", b"null"])
def test_unreadable_host_state_changes_nothing(
    node: Node, eyes: Eyes, broker: Broker, store: Store, payload: bytes
) -> None:
    eyes.next("NBIRTH")
    eyes.line.publish(Message(topics.HOST_STATE, payload))
    eyes.ask_for_birth()  # its answer shows that the message was processed

    node.answer(0, 3)
    with background(lambda: ingest(store, host=broker.host, port=broker.port)):
        assert node.flush()

    assert stored(store) == [0, 1, 2]


def test_damaged_outbox_row_is_reported_and_blocks_nothing(
    node: Node, broker: Broker, store: Store
) -> None:
    node.outbox.append(*(receipt(index) for index in range(5)))
    with node.outbox._database.transaction() as cursor:
        cursor.execute("UPDATE receipts SET receipt = x'ffff' WHERE sequence = 3")
    node.telemetry.notify()

    with background(lambda: ingest(store, host=broker.host, port=broker.port)):
        assert node.flush()

    assert stored(store) == [0, 1, 3, 4]
    assert losses(store).unreadable == 1


def test_changed_gauges_are_published_once(node: Node, eyes: Eyes) -> None:
    birth = eyes.next("NBIRTH")
    node.telemetry.set_gauges(Gauges(profile="pi-4b", capacity=2, battery=0.25))
    names = {entry.alias: entry.name for entry in birth.metrics}

    published: dict[str, object] = {}
    while len(published) < 3:
        data = eyes.next("NDATA")
        published |= {names[entry.alias]: metric_value(entry) for entry in data.metrics}

    assert published == {
        sparkplug_metrics.PROFILE: "pi-4b",
        sparkplug_metrics.CAPACITY: 2,
        sparkplug_metrics.BATTERY: 0.25,
    }


def test_receipts_wait_while_the_host_is_offline(node: Node, eyes: Eyes) -> None:
    birth = eyes.next("NBIRTH")
    eyes.publish_state(online=False)
    eyes.ask_for_birth()  # so the state has been heard
    node.answer(0, 2)
    for _ in range(2):  # it would send receipts between these two
        eyes.ask_for_birth()
    assert topics.sparkplug("NDATA", DEVICE) not in eyes.seen

    eyes.publish_state(online=True)

    data = eyes.next("NDATA")
    assert [entry.input_index for entry in batch_of(birth, data).receipts] == [0, 1]


def test_host_that_connects_later_gets_the_earlier_receipts(
    node: Node, eyes: Eyes, broker: Broker, store: Store
) -> None:
    node.answer(0, 5)
    eyes.next("NDATA")

    with background(lambda: ingest(store, host=broker.host, port=broker.port)):
        assert node.flush()

    assert stored(store) == list(range(5))


def test_everything_is_stored_once_through_a_cut_link(
    node: Node, link: CuttableLink, broker: Broker, store: Store
) -> None:
    with background(lambda: ingest(store, host=broker.host, port=broker.port)):
        node.answer(0, 30)
        link.cut()
        node.answer(30, 60)
        link.restore()
        node.answer(60, 75)

        assert node.flush()

    assert stored(store) == list(range(75))
    assert node.telemetry.bytes_sent > 0


def test_everything_is_stored_once_through_a_broker_restart(
    tmp_path: Path, store: Store, broker_kind: BrokerKind
) -> None:
    with start_broker(kind=broker_kind) as first:
        port = first.port
        with (
            closing(Node(tmp_path / "device", port)) as node,
            background(lambda: ingest(store, host=first.host, port=port)),
        ):
            node.answer(0, 30)
            first.close()
            node.answer(30, 60)
            with start_broker(port=port, kind=broker_kind):
                assert node.flush()

    assert stored(store) == list(range(60))


def test_receipts_of_an_earlier_run_are_delivered(
    tmp_path: Path, broker: Broker, store: Store
) -> None:
    with Outbox(tmp_path / "device") as outbox:
        outbox.append(*(receipt(index) for index in range(25)))

    with (
        background(lambda: ingest(store, host=broker.host, port=broker.port)),
        closing(Node(tmp_path / "device", broker.port)) as node,
    ):
        assert node.flush()

    assert stored(store) == list(range(25))


def test_dropped_receipts_do_not_block_the_rest(
    tmp_path: Path, broker: Broker, store: Store
) -> None:
    with Outbox(tmp_path / "device", capacity=5) as outbox:
        outbox.append(*(receipt(index) for index in range(25)))

    with (
        background(lambda: ingest(store, host=broker.host, port=broker.port)),
        closing(Node(tmp_path / "device", broker.port)) as node,
    ):
        assert node.flush()

    assert stored(store) == list(range(20, 25))


def test_closing_without_a_broker_ends_and_keeps_everything(tmp_path: Path) -> None:
    with start_broker() as gone:
        port = gone.port
    node = Node(tmp_path / "device", port)
    node.answer(0, 3)

    assert not node.telemetry.flush(0.3)
    assert node.outbox.marks().depth == 3
    node.close()
    until(lambda: f"telemetry-{DEVICE}" not in {t.name for t in threading.enumerate()})
