"""Runs the console's web server, uvicorn, in the event loop of the cloud."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from nestling_cloud.console.http.request_deadline import close_overdue_connections
from nestling_cloud.errors import CloudError
from nestling_cloud.fleet.tls import TlsFiles, reachable_as
from nestling_cloud.ports import bound_socket, in_words
from nestling_core.network.address import Address
from nestling_core.network.hosts import is_loopback, is_wildcard
from nestling_core.parsing.throttled_log import fewer_repeats

# Most time that running requests may take to end at shutdown.
_GRACE_S = 1
_BACKLOG = 128
# As for the broker: if the clock is set while we run, a certificate may expire at any time.
_CERTIFICATE_CHECK_S = 60.0

_LOG = logging.getLogger(__name__)


class ConsoleError(CloudError):
    """Raised when the console cannot listen, cannot use its certificate, or ends unexpectedly."""


@dataclass(frozen=True, kw_only=True)
class ConsoleAddress:
    """The address on which the console listens.

    Attributes:
        host: the host name or IP address. 127.0.0.1 is reachable only from this machine, and an
            address that is reachable from other machines needs TLS.
        port: the TCP port, or 0 for any free port.
    """

    host: str = "127.0.0.1"
    port: int = 8080


class ConsoleServer:
    """The console's web server.

    Use it as a context manager. The port is bound when the object is created, so that a port that
    is already in use is reported at once.

    Args:
        address: the address to listen on.
        tls: a function that returns the certificate and key, or None for plain HTTP. The function
            is called again every minute, so that a renewed certificate is loaded.

    Raises:
        ConsoleError: the server cannot listen on the address, or the address is not loopback and
            there is no TLS.

    Attributes:
        local_only: whether the server listens on loopback.
        secure: whether the server uses TLS.
    """

    def __init__(self, address: ConsoleAddress, tls: Callable[[], TlsFiles] | None) -> None:
        if tls is None and not is_loopback(address.host):
            raise ConsoleError(
                f"the console cannot listen on {address.host} without TLS, because passwords could "
                "be intercepted; leave --console-host at 127.0.0.1, or give the cloud certificates"
            )
        self._tls = tls
        self._socket = _listen(address)
        self.local_only = is_loopback(address.host)
        self.secure = tls is not None
        self._host = address.host

    @property
    def port(self) -> int:
        """The port on which the server listens."""
        port: int = self._socket.getsockname()[1]
        return port

    def url(self, public_host: str = "") -> str:
        """Return the URL of the console.

        Args:
            public_host: the name of this machine, to use in the URL if the console listens on all
                addresses. If the name is "", the URL contains the loopback address instead.
        """
        host = public_host if public_host and is_wildcard(self._host) else reachable_as(self._host)
        scheme = "https" if self.secure else "http"
        return f"{scheme}://{Address(host=host, port=self.port)}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    async def run(self, app: ASGIApp) -> None:
        """Serve an application until cancelled.

        Raises:
            ConsoleError: the certificate cannot be used, or the server ended unexpectedly.
        """
        config = self._config(app)
        server = _Server(config)
        serving = asyncio.create_task(server.serve([self._socket]), name="console")
        renewing = asyncio.create_task(self._renew(config), name="console-certificate")
        closing = close_overdue_connections(lambda: server.server_state.connections)
        deadline = asyncio.create_task(closing, name="console-deadline")
        try:
            # None of the tasks ends by itself. On cancellation, the server shuts down in order.
            with fewer_repeats(logging.getLogger("uvicorn.error")):
                done, _ = await asyncio.wait(
                    (serving, renewing, deadline), return_when=asyncio.FIRST_COMPLETED
                )
            for task in done:
                task.result()
            raise ConsoleError("the console ended unexpectedly; see the log lines before this")
        finally:
            renewing.cancel()
            deadline.cancel()
            server.should_exit = True
            await serving

    async def _renew(self, config: uvicorn.Config) -> None:
        while True:
            await asyncio.sleep(_CERTIFICATE_CHECK_S)
            if self._tls is None or config.ssl is None:
                continue
            try:
                files = await asyncio.to_thread(self._tls)
                config.ssl.load_cert_chain(files.certificate, files.key)
            except (CloudError, OSError) as err:  # the current one is valid for months
                _LOG.warning(
                    "the console keeps its current certificate, since it cannot load another: %s",
                    err,
                )

    def _config(self, app: ASGIApp) -> uvicorn.Config:
        tls = self._tls() if self._tls else None
        config = uvicorn.Config(
            app,
            http="h11",  # httptools does not limit the size of a request's head
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # a client could forge its address with X-Forwarded-For
            ws="websockets-sansio",
            ws_max_size=1 << 20,  # pages send only small events such as clicks
            timeout_graceful_shutdown=_GRACE_S,
            ssl_certfile=tls.certificate if tls else None,
            ssl_keyfile=tls.key if tls else None,
        )
        try:
            config.load()
        except (OSError, ssl.SSLError) as err:
            raise ConsoleError(
                f"the console's certificate cannot be used: {err}; create the cloud's certificate "
                "again"
            ) from err
        return config


class _Server(uvicorn.Server):
    """A uvicorn server that handles no signals.

    The cloud handles them, because it has to shut down all of its parts together.
    """

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(address: ConsoleAddress) -> socket.socket:
    try:
        listener = bound_socket(address.host, address.port)
    except OSError as err:
        raise ConsoleError(
            f"the console cannot listen on {Address(host=address.host, port=address.port)} "
            f"({in_words(err, address.host)}); choose another --console-port, or --no-console"
        ) from err
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener
