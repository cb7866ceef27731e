"""Every kind of broker that we can start meets our requirements."""

import os
import queue
import re
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

from nestling import topics
from nestling_cloud.fleet.broker_config import MAX_MESSAGE_BYTES
from nestling_cloud.mqtt import broker_process as broker_module
from nestling_cloud.mqtt.broker_process import Broker, BrokerError, BrokerKind, start_broker
from tests.support.processes import DEADLINE_S, alive, children, seen, until

# CONNECT: keep-alive 1 s, client "silent", Will "gone" to "death" with QoS 1.
_SILENT = b"\x10\x1f\x00\x04MQTT\x04\x0e\x00\x01\x00\x06silent\x00\x05death\x00\x04gone"
_CONNACK = b"\x20\x02\x00\x00"


@pytest.fixture
def broker(broker_kind: BrokerKind) -> Iterator[Broker]:
    with start_broker(kind=broker_kind) as started:
        yield started


class Client:
    """A paho client that queues what it gets."""

    def __init__(self, broker: Broker, *, will: tuple[str, bytes] | None = None) -> None:
        self.messages: queue.Queue[mqtt.MQTTMessage] = queue.Queue()
        self._subscribed: queue.Queue[int] = queue.Queue()
        self._published: queue.Queue[int] = queue.Queue()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda _client, _data, message: self.messages.put(message)
        self._client.on_subscribe = lambda _c, _d, mid, _codes, _props: self._subscribed.put(mid)
        self._client.on_publish = lambda _c, _d, mid, _code, _props: self._published.put(mid)
        if will:
            self._client.will_set(will[0], will[1], qos=1, retain=True)
        self._client.connect(broker.host, broker.port)
        self._client.loop_start()

    def subscribe(self, topic: str) -> None:
        self._client.subscribe(topic, qos=1)
        self._subscribed.get(timeout=DEADLINE_S)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(DEADLINE_S)

    def try_to_publish(self, topic: str, payload: bytes) -> None:
        """Publish a message that the broker may reject, and wait until it has decided.

        A broker that rejects it ends the connection, perhaps before the next line. The client then
        reconnects and delivers what it still holds.
        """
        self._client.publish(topic, payload)
        end = self._client.publish("end", b"", qos=1).mid
        while self._published.get(timeout=DEADLINE_S) != end:
            pass

    def publish_many(self, topic: str, payload: bytes, count: int) -> None:
        sent = [self._client.publish(topic, payload, qos=1) for _ in range(count)]
        sent[-1].wait_for_publish(DEADLINE_S)

    def vanish(self) -> None:
        """Cut the connection without a DISCONNECT, so that the broker publishes the Will."""
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


def test_retained_message_reaches_later_subscribers(broker: Broker) -> None:
    sender = Client(broker)
    sender.publish("state", b"on", retain=True)

    late = Client(broker)
    late.subscribe("state")

    assert late.messages.get(timeout=DEADLINE_S).payload == b"on"
    late.close()
    sender.close()


def test_only_the_last_retained_message_is_kept(broker: Broker) -> None:
    sender = Client(broker)
    sender.publish("state", b"off", retain=True)
    sender.publish("state", b"on", retain=True)

    late = Client(broker)
    late.subscribe("state")
    late.publish("state", b"end")

    assert [late.messages.get(timeout=DEADLINE_S).payload for _ in range(2)] == [b"on", b"end"]
    late.close()
    sender.close()


def test_retained_message_reaches_only_subscribers_of_its_topic(broker: Broker) -> None:
    sender, other = Client(broker), Client(broker)
    sender.publish("state", b"on", retain=True)
    other.subscribe("state")
    assert other.messages.get(timeout=DEADLINE_S).payload == b"on"

    device = Client(broker)
    device.subscribe("command")
    device.publish("command", b"end")

    message = device.messages.get(timeout=DEADLINE_S)
    assert (message.topic, message.payload) == ("command", b"end")
    for client in (sender, other, device):
        client.close()


def test_message_beyond_the_size_limit_is_dropped_and_others_are_delivered(broker: Broker) -> None:
    receiver, mistaken, sender = Client(broker), Client(broker), Client(broker)
    receiver.subscribe("large")
    receiver.subscribe("next")

    mistaken.try_to_publish("large", bytes(MAX_MESSAGE_BYTES + 1))
    sender.publish("next", b"small")

    assert receiver.messages.get(timeout=DEADLINE_S).topic == "next"
    for client in (receiver, mistaken, sender):
        client.close()


def test_memory_stays_bounded_under_heavy_traffic(broker: Broker) -> None:
    host, sender = Client(broker), Client(broker)
    host.subscribe(topics.sparkplug("NDATA", "+"))
    devices = [f"pi-{number}" for number in range(20)]
    clients = [Client(broker) for _ in devices]
    for device, client in zip(devices, clients, strict=True):
        client.subscribe(topics.sparkplug("NCMD", device))
    payload = bytes(50_000)

    for device in devices:  # 100 MB each way
        sender.publish_many(topics.sparkplug("NDATA", device), payload, 100)
        sender.publish_many(topics.sparkplug("NCMD", device), payload, 100)

    assert resident_mib(broker.pid) < 120
    for client in (host, sender, *clients):
        client.close()


def resident_mib(pid: int) -> float:
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found.group(1)) / 1024


def test_will_is_published_when_a_client_vanishes(broker: Broker) -> None:
    watcher = Client(broker)
    watcher.subscribe("death")
    Client(broker, will=("death", b"gone")).vanish()

    assert watcher.messages.get(timeout=DEADLINE_S).payload == b"gone"
    late = Client(broker)
    late.subscribe("death")
    assert late.messages.get(timeout=DEADLINE_S).payload == b"gone"  # the Will is retained
    watcher.close()
    late.close()


def test_will_is_published_when_a_client_falls_silent(broker: Broker) -> None:
    watcher = Client(broker)
    watcher.subscribe("death")
    with socket.create_connection((broker.host, broker.port), timeout=DEADLINE_S) as silent:
        silent.sendall(_SILENT)
        assert silent.recv(len(_CONNACK)) == _CONNACK

        assert watcher.messages.get(timeout=DEADLINE_S).payload == b"gone"
    watcher.close()


def test_disconnect_drops_the_will(broker: Broker) -> None:
    watcher = Client(broker)
    watcher.subscribe("#")

    Client(broker, will=("death", b"gone")).close()
    watcher.publish("end", b"")

    assert watcher.messages.get(timeout=DEADLINE_S).topic == "end"
    watcher.close()


def test_broker_ends_with_its_context_and_leaves_no_file(
    broker_kind: BrokerKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    with start_broker(kind=broker_kind) as broker:
        pid, address = broker.pid, (broker.host, broker.port)

    assert not alive(pid)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(address, timeout=1).close()
    assert list(tmp_path.iterdir()) == []


def test_broker_starts_again_on_its_port(broker_kind: BrokerKind) -> None:
    with start_broker(kind=broker_kind) as first:
        client = Client(first)
        port = first.port
    client.close()

    with start_broker(kind=broker_kind, port=port) as second:
        assert second.port == port
        Client(second).close()


def test_broker_listens_on_this_machine_only(broker: Broker) -> None:
    wanted = f":{broker.port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    six = [line.split() for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]]
    listening = [line[1] for line in lines + six if line[1].endswith(wanted) and line[3] == "0A"]

    assert listening == [f"0100007F{wanted}"]


def test_taken_port_is_a_clear_error(broker_kind: BrokerKind) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(BrokerError, match=f"cannot listen on port {port}"):
            start_broker(kind=broker_kind, port=port)


def test_death_of_the_broker_is_detected(broker: Broker) -> None:
    broker.check()
    os.kill(broker.pid, signal.SIGKILL)
    until(lambda: broker._process.poll() is not None)

    with pytest.raises(BrokerError, match="ended with status -9"):
        broker.check()


def test_broker_dies_with_its_parent_even_by_kill_9(broker_kind: BrokerKind) -> None:
    program = (
        "import sys, time; from nestling_cloud.mqtt.broker_process import start_broker\n"
        "broker = start_broker(kind=sys.argv[1]); print(broker.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-P", "-c", program, broker_kind], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()

    until(lambda: not alive(pid))


def test_parent_killed_at_any_moment_of_the_start_leaves_no_file(
    broker_kind: BrokerKind, tmp_path: Path
) -> None:
    program = (
        "import sys; from nestling_cloud.mqtt.broker_process import start_broker\n"
        "with start_broker(kind=sys.argv[1]): sys.stdin.read()"
    )
    command = [sys.executable, "-P", "-c", program, broker_kind]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    for _ in range(5):
        with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as parent:
            while not (started := children(parent.pid)):
                assert parent.poll() is None
            # The file exists for a millisecond, if at all.
            while not any(tmp_path.iterdir()) and not has_socket(started[0]):
                assert alive(started[0])
            parent.kill()

        until(lambda: not any(map(alive, started)))
        assert list(tmp_path.iterdir()) == []


def has_socket(pid: int) -> bool:
    descriptors = Path(f"/proc/{pid}/fd")
    return any(seen(each, Path.readlink).startswith("socket:") for each in descriptors.iterdir())


def test_no_broker_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module, "_SYSTEM_PATHS", (str(tmp_path),))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "iotcore", None)  # as if it were not installed

    with pytest.raises(BrokerError, match="apt install mosquitto, or pip install iotcore"):
        start_broker()
