"""A real Mosquitto with our configuration authenticates devices and isolates them."""

import queue
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from nestling import topics
from nestling_cloud.fleet.enrolment import Enrolment
from nestling_cloud.mqtt import broker_process as broker_module
from nestling_cloud.mqtt.broker_process import Broker, BrokerError, start_secure_broker
from nestling_device.transport.identity import Identity, save_identity
from tests.support import enrolled
from tests.support.needs import MOSQUITTO
from tests.support.processes import DEADLINE_S, until
from tests.support.skipping import required

NAMES = ("127.0.0.1",)
WRITES = ("NBIRTH", "NDATA", "NDEATH")


@pytest.fixture
def enrolment(tmp_path: Path) -> Iterator[Enrolment]:
    with Enrolment.open(tmp_path / "cloud") as opened:
        yield opened


@pytest.fixture
def broker(enrolment: Enrolment) -> Iterator[Broker]:
    required(MOSQUITTO)
    with start_secure_broker(
        enrolment.broker,
        host="127.0.0.1",
        port=0,
        names=NAMES,
        client=enrolment.authority.client(),
    ) as started:
        yield started


class Client:
    """A paho client of MQTT 5, by which the broker reports whether it accepts a publication."""

    def __init__(self, tls: ssl.SSLContext, port: int, *, will: str = "") -> None:
        self.messages: queue.Queue[mqtt.MQTTMessage] = queue.Queue()
        self._answers: queue.Queue[bool] = queue.Queue()
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        client.tls_set_context(tls)
        client.on_message = lambda _client, _data, message: self.messages.put(message)
        client.on_connect = lambda _c, _d, _f, code, _p: self._answers.put(not code.is_failure)
        client.on_subscribe = lambda _c, _d, _m, codes, _p: self._answers.put(
            not codes[0].is_failure
        )
        client.on_publish = lambda _c, _d, _m, code, _p: self._answers.put(not code.is_failure)
        if will:
            client.will_set(will, b"gone", qos=1)
        self.client = client
        client.connect("127.0.0.1", port)
        client.loop_start()
        assert self._answers.get(timeout=DEADLINE_S)

    def may_write(self, topic: str) -> bool:
        self.client.publish(topic, b"word", qos=1)
        return self._answers.get(timeout=DEADLINE_S)

    def subscribe(self, topic: str) -> bool:
        self.client.subscribe(topic, qos=1)
        return self._answers.get(timeout=DEADLINE_S)

    def vanish(self) -> None:
        """Cut the connection without a DISCONNECT."""
        live = self.client.socket()
        assert isinstance(live, ssl.SSLSocket)
        live.shutdown(socket.SHUT_RDWR)
        self.client.loop_stop()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


Join = Callable[..., Client]


@pytest.fixture
def join(broker: Broker) -> Iterator[Join]:
    with ExitStack() as stack:

        def connect(tls: ssl.SSLContext, **options: str) -> Client:
            client = Client(tls, broker.port, **options)
            stack.callback(client.close)
            return client

        yield connect


@pytest.fixture
def identity(enrolment: Enrolment, tmp_path: Path) -> Callable[[str], Identity]:
    def make(name: str) -> Identity:
        return save_identity(tmp_path / name, enrolled.papers(enrolment, name))

    return make


@pytest.fixture
def cloud(enrolment: Enrolment, join: Join) -> Client:
    """Connect as the cloud and subscribe to every topic."""
    client = join(enrolment.authority.client().client_context())
    assert client.subscribe("#")
    return client


def test_device_may_write_only_its_own_topics(
    cloud: Client, join: Join, identity: Callable[[str], Identity]
) -> None:
    porch = join(identity("porch").ssl_context())
    own = [
        *(topics.sparkplug(kind, "porch") for kind in WRITES),
        topics.delivery_request("porch"),
    ]
    others = [
        *(topics.sparkplug(kind, "attic") for kind in WRITES),
        topics.delivery_request("attic"),
        topics.delivery_response("attic"),
        topics.delivery_response("porch"),
        topics.sparkplug("NCMD", "attic"),
        topics.sparkplug("NCMD", "porch"),
        topics.HOST_STATE,
        "anything",
    ]

    assert [topic for topic in own if not porch.may_write(topic)] == []
    assert [topic for topic in others if porch.may_write(topic)] == []
    assert own == [cloud.messages.get(timeout=DEADLINE_S).topic for _ in own]
    assert cloud.messages.empty()


def test_device_may_read_only_its_own_topics(
    cloud: Client, join: Join, identity: Callable[[str], Identity]
) -> None:
    porch, attic = join(identity("porch").ssl_context()), join(identity("attic").ssl_context())
    for topic in ("#", "spBv1.0/#", "nestling/#", "$SYS/#", topics.sparkplug("NCMD", "attic")):
        porch.subscribe(topic)
    for name in ("attic", "porch"):
        assert cloud.may_write(topics.sparkplug("NCMD", name))
        assert cloud.may_write(topics.delivery_response(name))
        client = {"attic": attic, "porch": porch}[name]
        assert client.may_write(topics.sparkplug("NDATA", name))
    assert cloud.may_write(topics.HOST_STATE)

    received = set()
    while topics.HOST_STATE not in received:
        received.add(porch.messages.get(timeout=DEADLINE_S).topic)
    assert received == {
        topics.sparkplug("NCMD", "porch"),
        topics.delivery_response("porch"),
        topics.HOST_STATE,
    }


def test_will_in_another_devices_name_is_not_published(
    cloud: Client, join: Join, identity: Callable[[str], Identity]
) -> None:
    porch = identity("porch").ssl_context()
    join(porch, will=topics.sparkplug("NDEATH", "attic")).vanish()
    join(porch, will=topics.sparkplug("NDEATH", "porch")).vanish()

    assert cloud.messages.get(timeout=DEADLINE_S).topic == topics.sparkplug("NDEATH", "porch")


def test_client_without_a_certificate_is_rejected(broker: Broker, enrolment: Enrolment) -> None:
    stranger = ssl.create_default_context(cafile=enrolment.authority.client().authority)

    assert not _lets_in(broker, stranger)
    assert _lets_in(broker, enrolment.authority.client().client_context())


def test_client_with_a_certificate_of_another_authority_is_rejected(
    broker: Broker, enrolment: Enrolment, tmp_path: Path
) -> None:
    with Enrolment.open(tmp_path / "other") as other:
        spy = save_identity(tmp_path / "spy", enrolled.papers(other, "porch")).ssl_context()
    spy.load_verify_locations(enrolment.authority.client().authority)

    assert not _lets_in(broker, spy)


def test_listener_certificate_is_rejected_for_a_client(
    broker: Broker, enrolment: Enrolment
) -> None:
    assert not _lets_in(broker, enrolment.authority.server("server", NAMES).client_context())


def test_client_without_tls_is_rejected(broker: Broker) -> None:
    with socket.create_connection((broker.host, broker.port), timeout=DEADLINE_S) as plain:
        assert not _is_greeted(plain)


def test_removed_device_is_rejected_and_its_open_connection_may_do_nothing(
    broker: Broker,
    enrolment: Enrolment,
    cloud: Client,
    join: Join,
    identity: Callable[[str], Identity],
) -> None:
    porch, attic = identity("porch").ssl_context(), identity("attic").ssl_context()
    before = join(porch)
    assert before.subscribe(topics.sparkplug("NCMD", "porch"))
    assert before.may_write(topics.sparkplug("NDATA", "porch"))

    enrolment.remove("attic")
    broker.reload()
    until(lambda: not _lets_in(broker, attic))
    enrolment.remove("porch")  # a second list, in case a broker keeps the first
    broker.reload()

    until(lambda: not before.may_write(topics.sparkplug("NDATA", "porch")))
    assert cloud.may_write(topics.sparkplug("NCMD", "porch"))
    assert not before.may_write(topics.sparkplug("NDATA", "porch"))  # answered after that
    assert before.messages.empty()
    until(lambda: not _lets_in(broker, porch))
    assert not _lets_in(broker, attic)


def test_device_that_enrols_again_is_accepted_and_its_old_certificate_is_rejected(
    broker: Broker, enrolment: Enrolment, join: Join, identity: Callable[[str], Identity]
) -> None:
    old = identity("porch").ssl_context()
    enrolment.remove("porch")
    new = identity("porch").ssl_context()
    enrolment.broker.write_lists()
    broker.reload()

    until(lambda: not _lets_in(broker, old))
    assert join(new).may_write(topics.sparkplug("NDATA", "porch"))


def test_missing_mosquitto_is_reported(
    enrolment: Enrolment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "_SYSTEM_PATHS", (str(tmp_path),))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BrokerError, match="client certificates needs Mosquitto"):
        start_secure_broker(
            enrolment.broker,
            host="127.0.0.1",
            port=0,
            names=NAMES,
            client=enrolment.authority.client(),
        )


def _lets_in(broker: Broker, tls: ssl.SSLContext) -> bool:
    """Return whether a client is accepted; with TLS 1.3, only a read shows that."""
    try:
        with (
            socket.create_connection((broker.host, broker.port), timeout=DEADLINE_S) as line,
            tls.wrap_socket(line, server_hostname=broker.host) as connection,
        ):
            return _is_greeted(connection)
    except (ssl.SSLError, ConnectionError):
        return False


def _is_greeted(connection: socket.socket) -> bool:
    connection.sendall(b"\x10\x11\x00\x04MQTT\x04\x02\x00\x05\x00\x05probe")
    try:
        return connection.recv(4) == b"\x20\x02\x00\x00"
    except ConnectionError:
        return False
