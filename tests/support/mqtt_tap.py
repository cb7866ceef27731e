"""A proxy in front of a broker that records the MQTT 3.1.1 packets of its clients."""

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
    """A PUBLISH packet, or the Will of a CONNECT packet."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True, kw_only=True)
class Connect:
    """A CONNECT packet, the first of a connection."""

    clean_session: bool
    will: Publish | None


@dataclass(frozen=True, kw_only=True)
class Subscribe:
    """A SUBSCRIBE packet: topics with the requested QoS, in order."""

    topics: tuple[tuple[str, int], ...]


@dataclass(frozen=True, kw_only=True)
class Disconnect:
    """A DISCONNECT packet, which makes the broker drop the Will."""


Packet = Connect | Publish | Subscribe | Disconnect


class MqttTap:
    """Forwards connections to a broker, and records the packets of each connection's client.

    Args:
        port: port of the broker on 127.0.0.1.
        drop: forward nothing, and close a connection after its CONNECT.
    """

    def __init__(self, port: int, *, drop: bool = False) -> None:
        self.connections: list[list[Packet]] = []
        self.drop = drop
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="tap")]

    @property
    def port(self) -> int:
        """The port on which clients connect."""
        port: int = self._listener.getsockname()[1]
        return port

    def packets(self) -> list[Packet]:
        """Return all packets so far, connection after connection."""
        return [packet for packets in list(self.connections) for packet in list(packets)]

    def published(self, topic: str) -> list[Publish]:
        """Return the messages published on a topic so far."""
        found = [one for one in self.packets() if isinstance(one, Publish)]
        return [one for one in found if one.topic == topic]

    def wait_for(self, topic: str, count: int = 1) -> list[Publish]:
        """Wait until `count` messages were published on a topic, and return them."""
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
            for source, sink, record in ((near, far, packets), (far, near, None)):
                thread = threading.Thread(target=self._forward, args=(source, sink, record))
                self._threads.append(thread)
                thread.start()

    def _forward(
        self, source: socket.socket, sink: socket.socket, record: list[Packet] | None
    ) -> None:
        pending = b""
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if record is not None:
                    pending = self._parse(pending + data, record)
                if not self.drop:
                    sink.sendall(data)
                elif record:
                    break
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _parse(pending: bytes, record: list[Packet]) -> bytes:
        whole = list(_whole(pending))
        record.extend(packet for packet, _ in whole if packet is not None)
        return pending[whole[-1][1] :] if whole else pending


def _whole(data: bytes) -> Iterator[tuple[Packet | None, int]]:
    """Yield each complete packet, None for other packet types, with the offset of its end."""
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
