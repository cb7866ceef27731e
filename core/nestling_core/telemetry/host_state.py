"""STATE: how a Sparkplug host says whether it is online, and which of two such messages counts.

Eclipse Sparkplug 3.0: a birth has the timestamp of its connection's Will, a goodbye its own. A
death older than the birth that is believed belongs to an earlier connection.
"""

import json
from dataclasses import dataclass

from nestling_core.parsing.untrusted import parse_json

# The largest whole number that every JSON reader holds exactly.
_LARGEST_MS = 2**53 - 1
# Two short keys with their values; anything longer is something else.
_LONGEST_PAYLOAD = 256


@dataclass(frozen=True, kw_only=True)
class HostState:
    """One STATE message.

    Attributes:
        online: whether it is a birth or a death.
        timestamp_ms: Unix time of the connection, or of the goodbye.
    """

    online: bool
    timestamp_ms: int

    def counts_after(self, earlier: "HostState | None") -> bool:
        """Whether to believe this message after an earlier one was believed."""
        return earlier is None or self.timestamp_ms >= earlier.timestamp_ms

    def to_payload(self) -> bytes:
        """Serialise the message as JSON in UTF-8."""
        return json.dumps({"online": self.online, "timestamp": self.timestamp_ms}).encode()


def read_host_state(payload: bytes) -> HostState:
    """Read a STATE message.

    Raises:
        ValueError: it is not one of Sparkplug 3.0's.
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
            f"online has to be true or false, and timestamp milliseconds since 1970: {payload!r}"
        )
    return HostState(online=online, timestamp_ms=timestamp_ms)
