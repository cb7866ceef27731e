"""Decides which STATE messages the fleet's host publishes over its connections to the broker.

A STATE message says whether a Sparkplug host is online. The host publishes its birth when it has
connected, and its death before it disconnects. If the connection breaks, the broker publishes the
death instead (the Will). A broker may publish the Will of an old connection after the birth of a
new connection, and another host of the same name may have published its death. Devices believe the
message with the newest timestamp. So a running host answers an older death by publishing its birth
again. It answers a newer death by reconnecting, which gives its Will and its birth a newer
timestamp. This module does no I/O.
"""

from typing import Literal

from nestling_core.telemetry.host_state import HostState, read_host_state

Reaction = Literal["ignore", "publish birth", "reconnect"]


class HostPresence:
    """Builds this host's STATE messages, and decides how to react to messages under its name."""

    def __init__(self) -> None:
        self._newest_ms = 0
        self._connected_ms = 0

    def connect(self, *, now_ms: int) -> HostState:
        """Record the start of a connection, and return its Will.

        The Will is the message that the broker publishes if the connection breaks.

        Args:
            now_ms: the current Unix time.
        """
        self._connected_ms = self._newest_ms = max(now_ms, self._newest_ms)
        return HostState(online=False, timestamp_ms=self._connected_ms)

    def birth(self) -> HostState:
        """Return the message to publish once the connection is made."""
        return HostState(online=True, timestamp_ms=self._connected_ms)

    def goodbye(self, *, now_ms: int) -> HostState:
        """Return the message to publish before the host disconnects on purpose.

        Args:
            now_ms: the current Unix time.
        """
        return HostState(online=False, timestamp_ms=max(now_ms, self._newest_ms))

    def receive(self, payload: bytes, *, retained: bool) -> Reaction:
        """Return how to react to a STATE message under this host's name.

        The message may come from this host or from another one.

        Args:
            payload: the payload of the message.
            retained: whether the message was published before this host subscribed. A retained
                message that is unreadable or an older death needs no reaction, because the birth of
                this connection replaces it.
        """
        try:
            state = read_host_state(payload)
        except ValueError:
            return "ignore" if retained else "publish birth"
        if state.online:
            return "ignore"
        if state.timestamp_ms > self._connected_ms:
            self._newest_ms = max(self._newest_ms, state.timestamp_ms)
            return "reconnect"
        return "ignore" if retained else "publish birth"
