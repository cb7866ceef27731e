"""What the fleet's host says of itself in STATE, over all its connections. No I/O.

A broker may fire the Will of a connection long after its successor was born, and another host may
have taken the same name down. Devices believe the newest timestamp, so a living host answers an
older death with its birth again, and a newer one with a new connection, whose Will and birth are
newer still.
"""

from typing import Literal

from nestling_core.telemetry.host_state import HostState, read_host_state

Answer = Literal["nothing", "say again", "connect again"]


class HostPresence:
    """Decides what this host says, and what to do about what is said under its name."""

    def __init__(self) -> None:
        self._newest_ms = 0
        self._connected_ms = 0

    def connect(self, *, now_ms: int) -> HostState:
        """Begin a connection: its Will."""
        self._connected_ms = self._newest_ms = max(now_ms, self._newest_ms)
        return HostState(online=False, timestamp_ms=self._connected_ms)

    def birth(self) -> HostState:
        """What to say when the connection is up."""
        return HostState(online=True, timestamp_ms=self._connected_ms)

    def goodbye(self, *, now_ms: int) -> HostState:
        """What to say before an orderly end."""
        return HostState(online=False, timestamp_ms=max(now_ms, self._newest_ms))

    def hear(self, payload: bytes, *, retained: bool) -> Answer:
        """Take what was said under our name, by ourselves or by others.

        Args:
            payload: of the STATE message.
            retained: whether it was said before we subscribed, and our birth came after it.
        """
        try:
            state = read_host_state(payload)
        except ValueError:
            return "nothing" if retained else "say again"
        if state.online:
            return "nothing"
        if state.timestamp_ms > self._connected_ms:
            self._newest_ms = max(self._newest_ms, state.timestamp_ms)
            return "connect again"
        return "nothing" if retained else "say again"
