"""Every broker that we can start does what we need of one."""

import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from tests.processes import DEADLINE_S, alive, until

from nestling_cloud import broker as broker_module
from nestling_cloud.broker import Broker, BrokerError, BrokerKind, start_broker


@pytest.fixture(params=["mosquitto", "amqtt"])
def kind(request: pytest.FixtureRequest) -> BrokerKind:
    found: BrokerKind = request.param
    try:
        broker_module.find_broker(found)
    except BrokerError as err:
        pytest.skip(str(err))
    return found


@pytest.fixture
def broker(kind: BrokerKind) -> Iterator[Broker]:
    with start_broker(kind=kind) as started:
        yield started


class Client:
    """A paho client that queues what it gets."""

    def __init__(self, broker: Broker, *, will: tuple[str, bytes] | None = None) -> None:
        self.messages: queue.Queue[mqtt.MQTTMessage] = queue.Queue()
        self._subscribed: queue.Queue[int] = queue.Queue()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda _client, _data, message: self.messages.put(message)
        self._client.on_subscribe = lambda _c, _d, mid, _codes, _props: self._subscribed.put(mid)
        if will:
            self._client.will_set(will[0], will[1], qos=1, retain=True)
        self._client.connect(broker.host, broker.port)
        self._client.loop_start()

    def subscribe(self, topic: str) -> None:
        self._client.subscribe(topic, qos=1)
        self._subscribed.get(timeout=DEADLINE_S)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(DEADLINE_S)

    def vanish(self) -> None:
        """Cut the connection without a word, so that the broker publishes the Will."""
        sock = self._client.socket()
        assert isinstance(sock, socket.socket)
        sock.shutdown(socket.SHUT_RDWR)
        self._client.loop_stop()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def test_message_of_a_megabyte_arrives_whole_at_qos_1(broker: Broker) -> None:
    payload = bytes(range(256)) * 4096
    receiver, sender = Client(broker), Client(broker)
    receiver.subscribe("a/+/c")

    sender.publish("a/b/c", payload)

    message = receiver.messages.get(timeout=DEADLINE_S)
    assert (message.topic, message.payload) == ("a/b/c", payload)
    receiver.close()
    sender.close()


def test_retained_message_reaches_who_comes_later(broker: Broker) -> None:
    sender = Client(broker)
    sender.publish("state", b"on", retain=True)

    late = Client(broker)
    late.subscribe("state")

    assert late.messages.get(timeout=DEADLINE_S).payload == b"on"
    late.close()
    sender.close()


def test_will_is_published_when_a_client_vanishes(broker: Broker) -> None:
    watcher = Client(broker)
    watcher.subscribe("death")
    Client(broker, will=("death", b"gone")).vanish()

    assert watcher.messages.get(timeout=DEADLINE_S).payload == b"gone"
    watcher.close()


def test_broker_ends_with_its_context_and_leaves_no_file(
    kind: BrokerKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    with start_broker(kind=kind) as broker:
        pid, address = broker.pid, (broker.host, broker.port)

    assert not alive(pid)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(address, timeout=1).close()
    assert list(tmp_path.iterdir()) == []


def test_broker_starts_again_on_its_port(kind: BrokerKind) -> None:
    with start_broker(kind=kind) as first:
        client = Client(first)
        port = first.port
    client.close()

    with start_broker(kind=kind, port=port) as second:
        assert second.port == port
        Client(second).close()


def test_broker_listens_on_this_machine_only(broker: Broker) -> None:
    wanted = f":{broker.port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    six = [line.split() for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]]
    listening = [line[1] for line in lines + six if line[1].endswith(wanted) and line[3] == "0A"]

    assert listening == [f"0100007F{wanted}"]


def test_taken_port_is_a_clear_error(kind: BrokerKind) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(BrokerError, match=f"cannot listen on port {port}"):
            start_broker(kind=kind, port=port)


def test_broker_that_died_is_noticed(broker: Broker) -> None:
    broker.check()
    os.kill(broker.pid, signal.SIGKILL)
    until(lambda: broker._process.poll() is not None)

    with pytest.raises(BrokerError, match="ended with status -9"):
        broker.check()


def test_broker_dies_with_its_parent_even_by_kill_9(kind: BrokerKind) -> None:
    program = (
        "import sys, time; from nestling_cloud.broker import start_broker\n"
        "broker = start_broker(kind=sys.argv[1]); print(broker.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-P", "-c", program, kind], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()

    until(lambda: not alive(pid))


def test_no_broker_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module, "_SYSTEM_PATHS", (str(tmp_path),))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))

    with pytest.raises(BrokerError, match=r"apt install mosquitto.*make setup"):
        start_broker()
