"""Decides which STATE messages the fleet's host publishes, over all its connections. No I/O.

A broker may publish the Will of an old connection after a new one was born, and another host may
have announced the end of the same name. Devices believe the newest timestamp. So a running host
answers an older death by publishing its birth again, and a newer death by reconnecting, which gives
its Will and birth a newer timestamp.
"""

from typing import Literal

from nestling_core.telemetry.host_state import HostState, read_host_state

Reaction = Literal["ignore", "publish birth", "reconnect"]


class HostPresence:
    """Makes this host's STATE messages, and decides how to react to those under its name."""

    def __init__(self) -> None:
        self._newest_ms = 0
        self._connected_ms = 0

    def connect(self, *, now_ms: int) -> HostState:
        """Start a connection and return its Will.

        Args:
            now_ms: Unix time.
        """
        self._connected_ms = self._newest_ms = max(now_ms, self._newest_ms)
        return HostState(online=False, timestamp_ms=self._connected_ms)

    def birth(self) -> HostState:
        """Return the message to publish once connected."""
        return HostState(online=True, timestamp_ms=self._connected_ms)

    def goodbye(self, *, now_ms: int) -> HostState:
        """Return the message to publish before an orderly disconnect.

        Args:
            now_ms: Unix time.
        """
        return HostState(online=False, timestamp_ms=max(now_ms, self._newest_ms))

    def receive(self, payload: bytes, *, retained: bool) -> Reaction:
        """Decide how to react to a STATE message under our name, sent by us or by others.

        Args:
            payload: payload of the message.
            retained: whether it was published before we subscribed, so that our birth replaces it.
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
