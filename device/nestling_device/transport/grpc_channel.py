"""A gRPC channel that is dialled when needed and can be dropped.

After a failure a channel waits before it dials again, longer each time, and fails every call
meanwhile. A caller that wants the first call after an outage to work drops the channel instead.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

import grpc

from nestling_core.network.address import Address
from nestling_device.errors import DeviceError
from nestling_device.transport.identity import Identity

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


class ChannelClosedError(DeviceError):
    """A channel that was closed for good."""


def dial(address: Address, credentials: grpc.ChannelCredentials | None) -> grpc.Channel:
    """Make a gRPC channel with the settings that all channels of a device share.

    libc looks the name up (`GRPC_DNS_RESOLVER`) on first use, and again after a connection breaks.
    Of several addresses, the first that answers is used.

    Args:
        address: of the cloud.
        credentials: None for a cloud on this machine, without TLS.
    """
    target = f"dns:///{address}"  # otherwise a host called "unix" would be a scheme
    if credentials is None:
        return grpc.insecure_channel(target, options=_OPTIONS)
    return grpc.secure_channel(target, credentials, options=_OPTIONS)


class Channel:
    """A connection to one address, for one thread; any thread may call `close`."""

    def __init__(self, address: Address, identity: Identity | None = None) -> None:
        """Make a channel.

        Args:
            address: of the cloud.
            identity: what to show there, and whom to take it for; None for a cloud on this
                machine, without TLS.
        """
        self.address = address
        self._identity = identity
        self._lock = threading.Lock()  # guards the three below
        self._channel: grpc.Channel | None = None
        self._closed = False
        self._generation = ""  # of the identity that was shown

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def stub(self, make: Callable[[grpc.Channel], _T]) -> _T:
        """Make a stub on the live channel, dialling if there is none.

        An identity that was renewed is shown from the next call on: the old one is refused one day.

        Raises:
            ChannelClosedError: it was closed for good.
        """
        with self._lock:
            if self._closed:
                raise ChannelClosedError(f"the connection to {self.address} was closed")
            if self._identity is not None and self._identity.generation != self._generation:
                self._hang_up()
            if self._channel is None:
                self._channel = self._dial()
            return make(self._channel)

    def _dial(self) -> grpc.Channel:
        if self._identity is None:
            return dial(self.address, None)
        credentials = self._identity.channel_credentials()
        self._generation = self._identity.generation
        return dial(self.address, credentials)

    def drop(self) -> None:
        """Hang up; the next `stub` dials again."""
        with self._lock:
            self._hang_up()

    def close(self) -> None:
        """Hang up for good; a call that another thread waits for ends as cancelled."""
        with self._lock:
            self._closed = True
            self._hang_up()

    def _hang_up(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
