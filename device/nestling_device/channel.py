"""A gRPC channel that is dialled when needed and can be dropped.

After a failure a channel waits before it dials again, longer each time, and fails every call
meanwhile. Whoever wants the first call after an outage to work drops the channel instead.
"""

from collections.abc import Callable
from typing import TypeVar

import grpc

from nestling_device.identity import Identity

_T = TypeVar("_T")
OPTIONS = (
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

    def __init__(self, target: str, identity: Identity | None = None) -> None:
        """Make a channel.

        Args:
            target: "host:port".
            identity: what to show there, and whom to take it for; None for a cloud on this
                machine, without TLS.
        """
        self.target = target
        self._identity = identity
        self._channel: grpc.Channel | None = None
        self._generation = ""  # of the identity that was shown

    def stub(self, make: Callable[[grpc.Channel], _T]) -> _T:
        """Make a stub on the live channel, dialling if there is none.

        An identity that was renewed is shown from the next call on: the old one is refused one day.
        """
        if self._identity is not None and self._identity.generation != self._generation:
            self.drop()
        if self._channel is None:
            self._channel = self._dial()
        return make(self._channel)

    def _dial(self) -> grpc.Channel:
        if self._identity is None:
            return grpc.insecure_channel(self.target, options=OPTIONS)
        credentials = self._identity.channel_credentials()
        self._generation = self._identity.generation
        return grpc.secure_channel(self.target, credentials, options=OPTIONS)

    def drop(self) -> None:
        """Hang up; the next `stub` dials anew."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
