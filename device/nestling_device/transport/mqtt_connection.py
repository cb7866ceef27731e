"""Provides an MQTT connection that does not reconnect automatically.

There are two reasons for this. A Sparkplug node needs a different Will (the message that the broker
publishes when the connection breaks) for every connection, and a caller that waits for an answer
needs to know when the connection ends.

Received messages wait in a queue of limited length. Messages that do not fit are dropped, so a
caller that misses an answer has to request it again.
"""

import queue
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from nestling_core.closing import Closing
from nestling_core.network.address import Address
from nestling_device.errors import DeviceError
from nestling_device.transport.identity import Identity

_QUEUE_LIMIT = 64
_CONNECT_TIMEOUT_S = 3.0
_DISCONNECT_TIMEOUT_S = 1.0
_KEEPALIVE_S = 15


class BrokerUnreachableError(DeviceError):
    """Raised when there is no connection to the broker.

    Either the broker cannot be reached, or it refuses this client, or the connection has ended.
    """


class BrokerConnectError(BrokerUnreachableError):
    """Raised when TCP or TLS fails, so that the broker has not received this client's Will."""


class Message(NamedTuple):
    """A sent or received message.

    Attributes:
        topic: the topic of the message.
        payload: the content of the message.
        retained: whether a received message was published earlier and kept by the broker.
    """

    topic: str
    payload: bytes
    retained: bool = False

    @property
    def packet_bytes(self) -> int:
        """The size in bytes of the MQTT PUBLISH packet that carries the message with QoS 0."""
        remaining = 2 + len(self.topic.encode()) + len(self.payload)
        length_bytes = next(n for n in (1, 2, 3, 4) if remaining < 128**n or n == 4)
        return 1 + length_bytes + remaining


class Connection(Closing):
    """An MQTT connection whose subscriptions are confirmed once the constructor returns.

    Only one thread may call `receive`.
    """

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
        """Connect, subscribe with QoS 1, and wait until the broker has confirmed the subscriptions.

        Args:
            host: the host of the broker.
            port: the port of the broker.
            client_id: the MQTT client id. The broker closes an older connection with the same id.
            subscriptions: the topics to subscribe to, at least one.
            will: the message that the broker publishes with QoS 1 if this client disappears without
                disconnecting.
            identity: the identity for TLS, or None to connect without TLS to a broker on this
                machine.

        Raises:
            BrokerConnectError: the TCP connection or TLS failed.
            BrokerUnreachableError: the broker refused the client or a subscription, or did not
                confirm the subscriptions within 3 seconds.
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
            reason = self._reason  # `close` overwrites it
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
        """Queue a message for paho's thread to send.

        Args:
            message: the message.
            qos: the quality of service, 0 or 1.

        Raises:
            BrokerUnreachableError: the connection has ended.
        """
        info = self._client.publish(message.topic, message.payload, qos=qos)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise BrokerUnreachableError(f"broker {self._address}: {self._reason}")

    def receive(self, timeout_s: float) -> Message | None:
        """Wait for a message.

        Args:
            timeout_s: the longest time to wait, in seconds.

        Returns:
            The message, or None if `wake` was called or the time has run out.

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
        """Make the current call of `receive` return, or the next call if none is in progress.

        Any thread may call this.
        """
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
            return  # not a topic that we subscribed to; an error here would end paho's thread
        if self._events.qsize() < _QUEUE_LIMIT:
            self._events.put(Message(topic, bytes(message.payload), message.retain))

    def close(self) -> None:
        """Disconnect so that the broker discards the Will without publishing it.

        If the broker does not close the connection within one second, the connection is cut.
        """
        self._client.disconnect()
        if not self._ended.wait(_DISCONNECT_TIMEOUT_S):
            live = self._client.socket()
            if isinstance(live, socket.socket):
                with suppress(OSError):
                    live.shutdown(socket.SHUT_RDWR)
        self._client.loop_stop()


def _send_at_once(_client: paho.Client, _data: Any, connected: Any) -> None:
    # With Nagle's algorithm a request waits 40 ms for the delayed TCP acknowledgement.
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
