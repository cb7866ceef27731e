"""Connections to the MQTT broker that come back after the broker was away."""

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

# Waits before the second, third, ... attempt; the last one repeats.
BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
# Beyond this, what comes in is dropped; devices send again what was not acknowledged.
_MAX_QUEUED = 10_000
# Answers are small and awaited; Nagle's algorithm would hold each back for some 40 ms.
_NO_DELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class BrokerAddress(Address):
    """Where the broker listens.

    Attributes:
        tls: what to show it, and whom to take it for; None for a broker on this machine that
            lets anybody in.
    """

    tls: TlsFiles | None = None

    def client(self, *, will: aiomqtt.Will | None = None) -> aiomqtt.Client:
        """Make a client that is not connected yet."""
        return _Client(
            self.host,
            self.port,
            # Read for every connection, for the files are made again before they wear out.
            tls_context=None if self.tls is None else self.tls.client_context(),
            will=will,
            max_queued_incoming_messages=_MAX_QUEUED,
            socket_options=[_NO_DELAY],
        )


class _Client(aiomqtt.Client):
    """A client that notices at once when the broker hangs up instead of accepting it.

    aiomqtt waits 10 s for an answer that cannot come any more. A broker that is just starting or
    ending hangs up like that.
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
            self._connected.set_exception(aiomqtt.MqttError(f"it hung up: {reason_code}"))


async def stay_connected(
    connect: Callable[[], aiomqtt.Client], use: Callable[[aiomqtt.Client], Awaitable[None]]
) -> None:
    """Use a connection until cancelled; dial again, ever more slowly, when it breaks.

    Args:
        connect: makes a new client for every attempt.
        use: works with a connected client; an `MqttError` from it means that the connection broke.
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
    """Bytes of a message; one without any has none."""
    return message.payload if isinstance(message.payload, bytes) else b""
