"""The edge node against a real broker, the cloud's ingest and a stranger's eyes."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.background import background, ingest
from tests.receipts import acknowledgement

from nestling import metrics, topics
from nestling.metrics import metric, metric_value
from nestling.sparkplug.v1 import payload_pb2
from nestling.v1 import receipt_pb2
from nestling_cloud.broker import Broker, BrokerKind, start_broker
from nestling_cloud.telemetry.store import Store, store_url
from nestling_device.mqtt import Connection, Message
from nestling_device.outbox import Outbox
from nestling_device.sparkplug_node import Gauges
from nestling_device.state import State
from nestling_device.telemetry import Telemetry, TelemetryConfig
from nestling_sim.links import CuttableLink

DEADLINE_S = 20.0
DEVICE = "pi-1"


def receipt(index: int) -> receipt_pb2.Receipt:
    made = receipt_pb2.Receipt(
        input_index=index,
        answered_at_ms=1_700_000_000_000,
        bundle_version="small-1-abc",
        route=receipt_pb2.Route(capacity=1, reason=receipt_pb2.REASON_ACCEPTED),
        resident_capacity=1,
        latency_ms=1.0,
        latency_provenance=receipt_pb2.PROVENANCE_MODELLED,
        wall_ms=1.0,
        success=[0.5, 0.75],
    )
    made.energy.add(source="compute", energy_mj=1.0, provenance=receipt_pb2.PROVENANCE_MODELLED)
    return made


class Node:
    """A device's telemetry with its outbox and state."""

    def __init__(self, folder: Path, port: int, *, resend_after_s: float = 600.0) -> None:
        self.outbox = Outbox(folder)
        self.state = State(folder)
        config = TelemetryConfig(
            device_id=DEVICE,
            host="127.0.0.1",
            port=port,
            batch_limit=10,
            resend_after_s=resend_after_s,
            reconnect_min_s=0.05,
            reconnect_max_s=0.2,
        )
        self.telemetry = Telemetry(config, self.outbox, self.state)
        self.telemetry.start()

    def answer(self, first: int, last: int) -> None:
        for index in range(first, last):
            self.outbox.append(receipt(index))
            self.telemetry.notify()

    def close(self) -> None:
        self.telemetry.close()
        self.outbox.close()
        self.state.close()


class Eyes:
    """Another client of the broker that sees everything the node says."""

    def __init__(self, port: int) -> None:
        self.seen: list[str] = []  # topics
        everything = [topics.sparkplug("+", DEVICE)]
        self.line = Connection("127.0.0.1", port, client_id="eyes", subscriptions=everything)

    def next(self, message_type: str) -> payload_pb2.Payload:
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            message = self.line.receive(0.1)
            if message is None:
                continue
            self.seen.append(message.topic)
            if message.topic == topics.sparkplug(message_type, DEVICE):
                return payload_pb2.Payload.FromString(message.payload)
        raise AssertionError(f"no {message_type} within {DEADLINE_S} s")

    def command(self, name: str, value: metrics.MetricValue) -> None:
        payload = payload_pb2.Payload(metrics=[metric(name, value, timestamp_ms=0)])
        self.line.publish(Message(topics.sparkplug("NCMD", DEVICE), payload.SerializeToString()))

    def say_state(self, *, online: bool) -> None:
        state = json.dumps({"online": online, "timestamp": 0}).encode()
        self.line.publish(Message(topics.HOST_STATE, state))


def named(payload: payload_pb2.Payload) -> dict[str, metrics.MetricValue | None]:
    return {entry.name: metric_value(entry) for entry in payload.metrics}


def batch_of(birth: payload_pb2.Payload, data: payload_pb2.Payload) -> receipt_pb2.ReceiptBatch:
    (alias,) = (entry.alias for entry in birth.metrics if entry.name == metrics.RECEIPTS)
    (value,) = (metric_value(entry) for entry in data.metrics if entry.alias == alias)
    assert isinstance(value, bytes)
    return receipt_pb2.ReceiptBatch.FromString(value)


def wait_until(true: Callable[[], bool]) -> None:
    deadline, pause = time.monotonic() + DEADLINE_S, threading.Event()
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        pause.wait(0.02)


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


def test_broken_line_fires_the_will_and_the_next_birth_has_the_next_bd_seq(
    node: Node, link: CuttableLink, eyes: Eyes
) -> None:
    first = named(eyes.next("NBIRTH"))[metrics.BD_SEQ]
    link.cut()
    death = named(eyes.next("NDEATH"))
    link.restore()
    second = named(eyes.next("NBIRTH"))[metrics.BD_SEQ]

    assert death == {metrics.BD_SEQ: first}
    assert (first, second) == (0, 1)


def test_orderly_end_says_goodbye_itself(node: Node, eyes: Eyes) -> None:
    birth = named(eyes.next("NBIRTH"))

    node.telemetry.close()

    assert named(eyes.next("NDEATH")) == {metrics.BD_SEQ: birth[metrics.BD_SEQ]}


def test_host_may_ask_for_a_rebirth_and_gets_the_receipts_again(node: Node, eyes: Eyes) -> None:
    birth = eyes.next("NBIRTH")
    node.answer(0, 1)
    first = eyes.next("NDATA")

    eyes.command(metrics.REBIRTH, value=True)
    again = eyes.next("NBIRTH")
    resent = eyes.next("NDATA")

    assert (again.seq, resent.seq) == (0, 1)
    assert named(again)[metrics.BD_SEQ] == named(birth)[metrics.BD_SEQ]
    assert batch_of(birth, first) == batch_of(again, resent)
    assert [entry.is_historical for entry in (first.metrics[-1], resent.metrics[-1])] == [
        False,
        True,
    ]


def test_what_is_not_acknowledged_is_sent_again(tmp_path: Path, broker: Broker, eyes: Eyes) -> None:
    impatient = Node(tmp_path / "impatient", broker.port, resend_after_s=0.05)
    try:
        birth = eyes.next("NBIRTH")
        impatient.answer(0, 1)
        first, second = eyes.next("NDATA"), eyes.next("NDATA")

        assert batch_of(birth, first) == batch_of(birth, second)
    finally:
        impatient.close()


def test_acknowledgement_empties_the_outbox_and_nonsense_does_not(node: Node, eyes: Eyes) -> None:
    eyes.next("NBIRTH")
    node.answer(0, 3)
    word = acknowledgement(node.outbox, 3)
    outbox_id, word.outbox_id = word.outbox_id, "another"
    eyes.command(metrics.ACKNOWLEDGED, word.SerializeToString())
    eyes.command(metrics.ACKNOWLEDGED, b"\xff\xff\xff")
    eyes.line.publish(Message(topics.sparkplug("NCMD", DEVICE), b"\xff\xff\xff"))
    eyes.command(metrics.REBIRTH, value=True)
    eyes.next("NBIRTH")  # so all of that has been heard
    assert node.outbox.depth == 3

    word.outbox_id = outbox_id
    eyes.command(metrics.ACKNOWLEDGED, word.SerializeToString())

    assert node.telemetry.flush(DEADLINE_S)


@pytest.mark.parametrize("payload", [b"[" * 100_000, b"9" * 5000, b"\xff", b"NaN", b"[]", b"null"])
def test_state_that_cannot_be_read_changes_nothing(
    node: Node, eyes: Eyes, broker: Broker, store: Store, payload: bytes
) -> None:
    eyes.next("NBIRTH")
    eyes.line.publish(Message(topics.HOST_STATE, payload))
    eyes.command(metrics.REBIRTH, value=True)
    eyes.next("NBIRTH")  # so it has been heard

    node.answer(0, 3)
    with background(lambda: ingest(store, host=broker.host, port=broker.port)):
        assert node.telemetry.flush(DEADLINE_S)

    assert stored(store) == [0, 1, 2]


def test_damaged_row_of_the_outbox_is_reported_and_holds_nothing_up(
    node: Node, broker: Broker, store: Store
) -> None:
    node.outbox.append_many([receipt(index) for index in range(5)])
    with node.outbox._database.transaction() as cursor:
        cursor.execute("UPDATE receipts SET receipt = x'ffff' WHERE sequence = 3")
    node.telemetry.notify()

    with background(lambda: ingest(store, host=broker.host, port=broker.port)):
        assert node.telemetry.flush(DEADLINE_S)

    assert stored(store) == [0, 1, 3, 4]
    assert store.unreadable() == 1


def test_changed_gauges_are_told_once(node: Node, eyes: Eyes) -> None:
    birth = eyes.next("NBIRTH")
    node.telemetry.set_gauges(Gauges(profile="pi-4b", capacity=2, battery=0.25))
    names = {entry.alias: entry.name for entry in birth.metrics}

    told: dict[str, object] = {}
    while len(told) < 3:
        data = eyes.next("NDATA")
        told |= {names[entry.alias]: metric_value(entry) for entry in data.metrics}

    assert told == {metrics.PROFILE: "pi-4b", metrics.CAPACITY: 2, metrics.BATTERY: 0.25}


def test_receipts_wait_while_the_host_is_offline(node: Node, eyes: Eyes) -> None:
    birth = eyes.next("NBIRTH")
    eyes.say_state(online=False)
    eyes.command(metrics.REBIRTH, value=True)
    eyes.next("NBIRTH")  # so the state has been heard
    node.answer(0, 2)
    for _ in range(2):  # what it would send it sends between these two
        eyes.command(metrics.REBIRTH, value=True)
        eyes.next("NBIRTH")
    assert topics.sparkplug("NDATA", DEVICE) not in eyes.seen

    eyes.say_state(online=True)

    data = eyes.next("NDATA")
    assert [entry.input_index for entry in batch_of(birth, data).receipts] == [0, 1]


def test_host_that_comes_later_gets_what_nobody_heard(
    node: Node, eyes: Eyes, broker: Broker, store: Store
) -> None:
    node.answer(0, 5)
    eyes.next("NDATA")

    with background(lambda: ingest(store, host=broker.host, port=broker.port)):
        assert node.telemetry.flush(DEADLINE_S)

    assert stored(store) == list(range(5))


def test_everything_is_stored_once_through_a_cut_line(
    node: Node, link: CuttableLink, broker: Broker, store: Store
) -> None:
    with background(lambda: ingest(store, host=broker.host, port=broker.port)):
        node.answer(0, 30)
        link.cut()
        node.answer(30, 60)
        link.restore()
        node.answer(60, 75)

        assert node.telemetry.flush(DEADLINE_S)

    assert stored(store) == list(range(75))
    assert node.telemetry.bytes_sent > 0


def test_everything_is_stored_once_through_a_broker_restart(
    tmp_path: Path, store: Store, broker_kind: BrokerKind
) -> None:
    with start_broker(kind=broker_kind) as first:
        port = first.port
        node = Node(tmp_path / "device", port)
        with background(lambda: ingest(store, host=first.host, port=port)):
            node.answer(0, 30)
            first.close()
            node.answer(30, 60)
            with start_broker(port=port, kind=broker_kind):
                assert node.telemetry.flush(DEADLINE_S)
        node.close()

    assert stored(store) == list(range(60))


def test_receipts_of_an_earlier_life_are_delivered(
    tmp_path: Path, broker: Broker, store: Store
) -> None:
    with Outbox(tmp_path / "device") as outbox:
        outbox.append_many([receipt(index) for index in range(25)])

    with background(lambda: ingest(store, host=broker.host, port=broker.port)):
        node = Node(tmp_path / "device", broker.port)
        assert node.telemetry.flush(DEADLINE_S)
        node.close()

    assert stored(store) == list(range(25))


def test_dropped_receipts_do_not_hold_up_the_rest(
    tmp_path: Path, broker: Broker, store: Store
) -> None:
    with Outbox(tmp_path / "device", capacity=5) as outbox:
        outbox.append_many([receipt(index) for index in range(25)])

    with background(lambda: ingest(store, host=broker.host, port=broker.port)):
        node = Node(tmp_path / "device", broker.port)
        assert node.telemetry.flush(DEADLINE_S)
        node.close()

    assert stored(store) == list(range(20, 25))


def test_closing_with_no_broker_in_sight_ends_and_keeps_everything(tmp_path: Path) -> None:
    with start_broker() as gone:
        port = gone.port
    node = Node(tmp_path / "device", port)
    node.answer(0, 3)

    assert not node.telemetry.flush(0.3)
    assert node.outbox.depth == 3
    node.close()
    wait_until(lambda: f"telemetry-{DEVICE}" not in {t.name for t in threading.enumerate()})
