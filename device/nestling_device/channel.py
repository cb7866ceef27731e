"""A gRPC channel that is dialled when needed and can be dropped.

After a failure a channel waits before it dials again, longer each time, and fails every call
meanwhile. Whoever wants the first call after an outage to work drops the channel instead.
"""

from collections.abc import Callable
from typing import TypeVar

import grpc

_T = TypeVar("_T")
_OPTIONS = (
    # Channels to one target share connections, and their waiting time, unless told not to.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # No answer that a device waits for is larger.
    ("grpc.max_receive_message_length", 1 << 20),
    # A device speaks to its cloud, not through a proxy that happens to be in its environment.
    ("grpc.enable_http_proxy", 0),
)


class Channel:
    """A connection to one target; not for several threads."""

    def __init__(self, target: str) -> None:
        self.target = target
        self._channel: grpc.Channel | None = None

    def stub(self, make: Callable[[grpc.Channel], _T]) -> _T:
        """Make a stub on the live channel, dialling if there is none."""
        if self._channel is None:
            self._channel = grpc.insecure_channel(self.target, options=_OPTIONS)
        return make(self._channel)

    def drop(self) -> None:
        """Hang up; the next `stub` dials anew."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
