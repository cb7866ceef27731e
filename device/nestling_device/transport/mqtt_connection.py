"""One connection to a broker, from its first packet to its end.

It never reconnects by itself: a Sparkplug node needs another Will for every connection, and who
waits for an answer wants to know that the connection ended. paho's own thread only puts on a
bounded queue; what does not fit is dropped, and asked for again by the caller that misses it.
"""

import queue
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, NamedTuple, Self

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from nestling_core.network.address import Address
from nestling_device.errors import DeviceError
from nestling_device.transport.identity import Identity

_QUEUE_LIMIT = 64
_CONNECT_TIMEOUT_S = 3.0
_GOODBYE_TIMEOUT_S = 1.0
_KEEPALIVE_S = 15


class BrokerUnreachableError(DeviceError):
    """The broker cannot be reached, refuses us, or the connection to it ended."""


class BrokerConnectError(BrokerUnreachableError):
    """TCP or TLS failed: the broker knows nothing of this client and its Will."""


class Message(NamedTuple):
    """A message sent, or received."""

    topic: str
    payload: bytes
    retained: bool = False  # received: the broker kept it for us, it is not being sent just now


class Connection:
    """A connection that is up and subscribed when it is made; `receive` is for one thread."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        client_id: str,
        subscriptions: Sequence[str],
        will: Message | None = None,
        identity: Identity | None = None,
    ) -> None:
        """Connect, subscribe with QoS 1, and wait until the broker has confirmed both.

        Args:
            host: of the broker.
            port: of the broker.
            client_id: an older connection with the same one is ended by the broker.
            subscriptions: topics, at least one.
            will: what the broker sends for us, with QoS 1, if we go without a goodbye.
            identity: what to show the broker, and whom to take it for; None for a broker on this
                machine, without TLS.

        Raises:
            BrokerConnectError: nothing listens there, or TLS failed.
            BrokerUnreachableError: it did not come about within seconds.
        """
        self._address = Address(host=host, port=port)
        self._subscriptions = [(topic, 1) for topic in subscriptions]
        self._events: queue.Queue[Message | None] = queue.Queue()
        self._settled = threading.Event()
        self._ended = threading.Event()
        self._reason = "no answer"
        self._subscribed = False
        self._client = self._make_client(client_id, will)
        try:
            if identity is not None:
                self._client.tls_set_context(identity.ssl_context())
            self._client.connect(host, port, keepalive=_KEEPALIVE_S)
        except OSError as err:
            raise BrokerConnectError(f"broker {self._address}: {err}") from err
        self._client.loop_start()
        if not self._settled.wait(_CONNECT_TIMEOUT_S) or not self._subscribed:
            reason = self._reason  # `close` puts another in its place
            self.close()
            raise BrokerUnreachableError(f"broker {self._address}: {reason}")

    def _make_client(self, client_id: str, will: Message | None) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, reconnect_on_failure=False
        )
        client.connect_timeout = _CONNECT_TIMEOUT_S
        client.on_socket_open = _send_at_once
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1)
        return client

    def publish(self, message: Message, *, qos: int = 0) -> None:
        """Hand a message to paho's thread.

        Raises:
            BrokerUnreachableError: the connection has ended.
        """
        info = self._client.publish(message.topic, message.payload, qos=qos)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise BrokerUnreachableError(f"broker {self._address}: {self._reason}")

    def receive(self, timeout_s: float) -> Message | None:
        """Wait for a message.

        Returns:
            None if `wake` was called or the time is over.

        Raises:
            BrokerUnreachableError: the connection has ended.
        """
        try:
            message = self._events.get(timeout=timeout_s)
        except queue.Empty:
            message = None
        if message is None and self._ended.is_set():
            raise BrokerUnreachableError(f"broker {self._address}: {self._reason}")
        return message

    def wake(self) -> None:
        """Make `receive` return; from any thread."""
        if self._events.empty():
            self._events.put(None)

    def _on_connect(
        self, client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if reason.is_failure:
            self._reason = str(reason)
            self._settled.set()
        else:
            client.subscribe(self._subscriptions)

    def _on_subscribe(
        self, _client: paho.Client, _data: Any, _id: int, reasons: list[ReasonCode], _more: Any
    ) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        self._subscribed = not refused
        if refused:
            self._reason = f"subscription refused: {refused[0]}"
        self._settled.set()

    def _on_disconnect(
        self, _client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _more: Any
    ) -> None:
        self._reason = f"connection ended ({reason})"
        self._ended.set()
        self._settled.set()
        self._events.put(None)

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return  # not one that we subscribed to; an error here would end paho's thread
        if self._events.qsize() < _QUEUE_LIMIT:
            self._events.put(Message(topic, bytes(message.payload), message.retain))

    def close(self) -> None:
        """Say goodbye, so that the broker drops the Will; cut the line if it does not listen."""
        self._client.disconnect()
        if not self._ended.wait(_GOODBYE_TIMEOUT_S):
            live = self._client.socket()
            if isinstance(live, socket.socket):
                with suppress(OSError):
                    live.shutdown(socket.SHUT_RDWR)
        self._client.loop_stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _send_at_once(_client: paho.Client, _data: Any, connected: Any) -> None:
    # Otherwise a request waits 40 ms for TCP's word on the acknowledgement before it (Nagle).
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
