"""Encodes and decodes STATE messages, by which a Sparkplug host reports whether it is online.

A birth message reports that the host is online, and a death message that it is offline. In Eclipse
Sparkplug 3.0, a host registers a death as the Will message of each connection, with the timestamp
of the birth. The broker publishes this death if the connection breaks. When the host disconnects in
an orderly way, it publishes a death itself, with a later timestamp. A death that is older than the
current birth belongs to an earlier connection.
"""

import json
from dataclasses import dataclass

from nestling_core.parsing.untrusted_data import parse_json

# The largest integer that every JSON parser represents exactly.
_LARGEST_MS = 2**53 - 1
# A STATE message has two short keys with their values; anything longer is not one.
_LONGEST_PAYLOAD = 256


@dataclass(frozen=True, kw_only=True)
class HostState:
    """A STATE message, which says whether a Sparkplug host is online.

    Attributes:
        online: True for a birth, False for a death.
        timestamp_ms: the Unix time in milliseconds at which the host connected, or disconnected in
            an orderly way.
    """

    online: bool
    timestamp_ms: int

    def counts_after(self, earlier: "HostState | None") -> bool:
        """Return whether this message supersedes a message that was accepted earlier.

        It does so unless its timestamp is older.

        Args:
            earlier: the message that was accepted last, or None if there was none.
        """
        return earlier is None or self.timestamp_ms >= earlier.timestamp_ms

    def to_payload(self) -> bytes:
        """Return the message as JSON in UTF-8."""
        return json.dumps({"online": self.online, "timestamp": self.timestamp_ms}).encode()


def read_host_state(payload: bytes) -> HostState:
    """Return the STATE message that a payload encodes.

    Raises:
        ValueError: the payload is not a STATE message of Sparkplug 3.0.
    """
    if len(payload) > _LONGEST_PAYLOAD:
        raise ValueError(f"{len(payload)} bytes are too long for a STATE message")
    try:
        fields = parse_json(payload)
        online, timestamp_ms = fields["online"], fields["timestamp"]
    except (ValueError, KeyError, TypeError) as err:
        raise ValueError(f"not a STATE message of Sparkplug 3.0: {payload[:64]!r}") from err
    dated = type(timestamp_ms) is int and 0 <= timestamp_ms <= _LARGEST_MS
    if not dated or not isinstance(online, bool):
        raise ValueError(
            "online must be true or false, and timestamp must be milliseconds since 1970: "
            f"{payload!r}"
        )
    return HostState(online=online, timestamp_ms=timestamp_ms)
