"""Connects to the MQTT broker, and reconnects whenever the connection breaks."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiomqtt
from paho.mqtt import client as mqtt
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from nestling_cloud.fleet.tls import TlsFiles
from nestling_core.network.address import Address

# Waits in seconds before the second, third, ... attempt; the last one repeats.
BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
# Messages beyond this are dropped; devices repeat what was not acknowledged.
_MAX_QUEUED = 10_000
# Devices wait for small answers, and Nagle's algorithm would delay each by some 40 ms.
_NO_DELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class BrokerAddress(Address):
    """The address of a broker, with the TLS files for a connection.

    Attributes:
        tls: the files with the client's certificate and key, and with the certificate of the
            broker's authority; None for an open broker on this machine.
    """

    tls: TlsFiles | None = None

    def client(self, *, will: aiomqtt.Will | None = None) -> aiomqtt.Client:
        """Return a new client for this broker; entering it with `async with` connects it.

        Args:
            will: the message that the broker publishes if the connection breaks; None for no
                message.
        """
        return _Client(
            self.host,
            self.port,
            # Read for every connection, because the files are renewed before they expire.
            tls_context=None if self.tls is None else self.tls.client_context(),
            will=will,
            max_queued_incoming_messages=_MAX_QUEUED,
            socket_options=[_NO_DELAY],
        )


class _Client(aiomqtt.Client):
    """A client that fails at once if the broker closes a connection instead of accepting it.

    A broker that is starting or stopping closes connections in this way. Without this class,
    aiomqtt would wait 10 s for an answer.
    """

    def _on_disconnect(
        self,
        client: mqtt.Client,
        userdata: Any,
        flags: mqtt.DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        super()._on_disconnect(client, userdata, flags, reason_code, properties)
        if not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError(f"closed by it: {reason_code}"))


async def stay_connected(
    connect: Callable[[], aiomqtt.Client], use: Callable[[aiomqtt.Client], Awaitable[None]]
) -> None:
    """Use a connection until cancelled, and reconnect whenever the connection breaks.

    The waits between failed attempts grow from 0.1 s to 5 s. A successful connection resets them.

    Args:
        connect: a function that returns a new client for every attempt.
        use: a function that uses a connected client. If it raises `MqttError`, the connection is
            considered broken. If it returns, the next connection follows at once.
    """
    attempt = 0
    while True:
        try:
            async with connect() as client:
                attempt = 0
                await use(client)
        except aiomqtt.MqttError as err:
            wait_s = BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)]
            _LOG.warning("no connection to the broker (%s); next attempt in %g s", err, wait_s)
            attempt += 1
            await asyncio.sleep(wait_s)


def payload_bytes(message: aiomqtt.Message) -> bytes:
    """Return a message's payload, or empty bytes if the message has no payload."""
    return message.payload if isinstance(message.payload, bytes) else b""
