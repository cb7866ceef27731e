"""A proxy before a broker that keeps every MQTT 3.1.1 packet which its clients send."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.support.processes import until


@dataclass(frozen=True, kw_only=True)
class Publish:
    """A message as it was sent, or as a Will that waits."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True, kw_only=True)
class Connect:
    """The first packet of a connection."""

    clean_session: bool
    will: Publish | None


@dataclass(frozen=True, kw_only=True)
class Subscribe:
    """Topics and the QoS that is asked for, in their order."""

    topics: tuple[tuple[str, int], ...]


@dataclass(frozen=True, kw_only=True)
class Disconnect:
    """The goodbye that makes a broker drop the Will."""


Packet = Connect | Publish | Subscribe | Disconnect


class MqttTap:
    """Carries connections to a broker, and remembers what clients send, connection by connection.

    Args:
        port: of the broker, on 127.0.0.1.
        deaf: hang up as soon as a CONNECT was heard, and pass on nothing.
    """

    def __init__(self, port: int, *, deaf: bool = False) -> None:
        self.connections: list[list[Packet]] = []
        self.deaf = deaf
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="tap")]

    @property
    def port(self) -> int:
        """Where clients connect."""
        port: int = self._listener.getsockname()[1]
        return port

    def packets(self) -> list[Packet]:
        """Everything that was sent so far, connection after connection."""
        return [packet for packets in list(self.connections) for packet in list(packets)]

    def published(self, topic: str) -> list[Publish]:
        """What was published on a topic so far."""
        found = [one for one in self.packets() if isinstance(one, Publish)]
        return [one for one in found if one.topic == topic]

    def wait_for(self, topic: str, count: int = 1) -> list[Publish]:
        """Wait until so many messages were published on a topic."""
        until(lambda: len(self.published(topic)) >= count)
        return self.published(topic)

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for end in [self._listener, *self._ends]:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in [self._listener, *self._ends]:
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self._ends += [near, far]
            packets: list[Packet] = []
            self.connections.append(packets)
            for source, sink, heard in ((near, far, packets), (far, near, None)):
                thread = threading.Thread(target=self._carry, args=(source, sink, heard))
                self._threads.append(thread)
                thread.start()

    def _carry(
        self, source: socket.socket, sink: socket.socket, heard: list[Packet] | None
    ) -> None:
        pending = b""
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if heard is not None:
                    pending = self._hear(pending + data, heard)
                if not self.deaf:
                    sink.sendall(data)
                elif heard:
                    break
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _hear(pending: bytes, heard: list[Packet]) -> bytes:
        whole = list(_whole(pending))
        heard.extend(packet for packet, _ in whole if packet is not None)
        return pending[whole[-1][1] :] if whole else pending


def _whole(data: bytes) -> Iterator[tuple[Packet | None, int]]:
    """Packets that are complete, None for a kind that nobody asks about, and where each ends."""
    start = 0
    while True:
        length, at = 0, start + 1
        for shift in range(0, 28, 7):
            if at >= len(data):
                return
            length |= (data[at] & 0x7F) << shift
            at += 1
            if data[at - 1] < 0x80:
                break
        if at + length > len(data):
            return
        yield _read(data[start], data[at : at + length]), at + length
        start = at + length


def _read(first: int, body: bytes) -> Packet | None:
    match first >> 4:
        case 1:
            return _connect(body)
        case 3:
            return _publish(first, body)
        case 8:
            return _subscribe(body[2:])
        case 14:
            return Disconnect()
        case _:
            return None


def _connect(body: bytes) -> Connect:
    _, at = _text(body, 0)
    flags = body[at + 1]
    _, at = _text(body, at + 4)
    will = None
    if flags & 0x04:
        topic, at = _text(body, at)
        payload, _ = _text(body, at)
        will = Publish(
            topic=topic.decode(),
            payload=payload,
            qos=flags >> 3 & 3,
            retain=bool(flags & 0x20),
        )
    return Connect(clean_session=bool(flags & 0x02), will=will)


def _publish(first: int, body: bytes) -> Publish:
    topic, at = _text(body, 0)
    qos = first >> 1 & 3
    payload = body[at + (2 if qos else 0) :]
    return Publish(topic=topic.decode(), payload=payload, qos=qos, retain=bool(first & 1))


def _subscribe(body: bytes) -> Subscribe:
    found, at = [], 0
    while at < len(body):
        topic, at = _text(body, at)
        found.append((topic.decode(), body[at]))
        at += 1
    return Subscribe(topics=tuple(found))


def _text(body: bytes, at: int) -> tuple[bytes, int]:
    end = at + 2 + int.from_bytes(body[at : at + 2])
    return body[at + 2 : end], end
