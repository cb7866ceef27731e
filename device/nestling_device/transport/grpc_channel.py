"""Provides a gRPC channel that connects on first use and can be dropped after a failure.

After a failure, gRPC waits before it connects again, longer each time, and fails every call in the
meantime. A caller that needs the first call after an outage to succeed drops the channel instead.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

import grpc

from nestling import offload_parameters
from nestling_core.network.address import Address
from nestling_device.errors import DeviceError
from nestling_device.transport.identity import Identity

_T = TypeVar("_T")
_OPTIONS = (
    # Otherwise channels to one target share their connections and back-off.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # No answer to a device is larger.
    ("grpc.max_receive_message_length", 1 << 20),
    # A device connects to its cloud directly, whatever proxy its environment names.
    ("grpc.enable_http_proxy", 0),
)


class ChannelClosedError(DeviceError):
    """Raised when a channel is used after it was closed for good."""


def dial(address: Address, credentials: grpc.ChannelCredentials | None) -> grpc.Channel:
    """Return a new gRPC channel with the settings that all channels of a device share.

    libc looks up the name on first use (`GRPC_DNS_RESOLVER=native`), and again after a connection
    breaks. If there are several addresses, the first that answers is used.

    Args:
        address: the address of the cloud.
        credentials: the TLS credentials, or None to connect without TLS.
    """
    target = f"dns:///{address}"  # without it, a host called "unix" would be read as a scheme
    if credentials is None:
        return grpc.insecure_channel(target, options=_OPTIONS)
    return grpc.secure_channel(target, credentials, options=_OPTIONS)


class Channel:
    """A connection to one address, for use by one thread.

    Any thread may call `close`.

    Attributes:
        address: the address of the cloud.
    """

    def __init__(self, address: Address, identity: Identity | None = None) -> None:
        """Prepare a channel, which connects on the first call.

        Args:
            address: the address of the cloud.
            identity: the identity for TLS, or None to connect without TLS to a cloud on this
                machine.
        """
        self.address = address
        self._identity = identity
        self._lock = threading.Lock()  # guards the three fields below
        self._channel: grpc.Channel | None = None
        self._closed = False
        self._generation = ""  # generation of the identity that the channel was made with

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def stub(self, make: Callable[[grpc.Channel], _T]) -> _T:
        """Return a stub on the current channel, or on a new one if there is none.

        If the identity was renewed, a new channel is made with it, because the old certificate
        expires.

        Args:
            make: the constructor of the stub.

        Raises:
            ChannelClosedError: the channel was closed for good.
        """
        with self._lock:
            if self._closed:
                raise ChannelClosedError(f"the connection to {self.address} was closed")
            if self._identity is not None and self._identity.generation != self._generation:
                self._disconnect()
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
        """Disconnect, so that the next call of `stub` connects again."""
        with self._lock:
            self._disconnect()

    def close(self) -> None:
        """Disconnect for good.

        Calls that are in progress in other threads end with the status CANCELLED.
        """
        with self._lock:
            self._closed = True
            self._disconnect()

    def _disconnect(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None


def retry_ms(err: grpc.RpcError) -> int | None:
    """Return the time after which a server wants to be asked again, or None if it names none.

    The time is in milliseconds.
    """
    for entry in err.trailing_metadata() or ():
        if entry.key == offload_parameters.RETRY_AFTER_MS and str(entry.value).isdecimal():
            return int(entry.value)
    return None
