"""The console's web server: uvicorn in the event loop of the cloud."""

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

from nestling_cloud.console.http.request_deadline import hang_up_on_dawdlers
from nestling_cloud.errors import CloudError
from nestling_cloud.fleet.tls import TlsFiles, reachable_as
from nestling_cloud.ports import bound_socket, in_words
from nestling_core.network.address import Address
from nestling_core.network.hosts import is_loopback, is_wildcard
from nestling_core.parsing.throttled_log import fewer_repeats

# What requests in flight may take to end.
_GRACE_S = 1
_BACKLOG = 128
# As for the broker: a clock that is set while we run may end a certificate at any time.
_CERTIFICATE_CHECK_S = 60.0

_LOG = logging.getLogger(__name__)


class ConsoleError(CloudError):
    """A console that cannot listen where it should."""


@dataclass(frozen=True, kw_only=True)
class ConsoleAddress:
    """Where the console listens.

    Attributes:
        host: 127.0.0.1 is this machine only; anything else takes TLS.
        port: 0 takes a free one.
    """

    host: str = "127.0.0.1"
    port: int = 8080


class ConsoleServer:
    """Holds the port from its making on; use it as a context manager.

    Args:
        address: where to listen.
        tls: tells certificate and key, None for plain HTTP; asked again every minute, so that a
            fresh certificate is taken up.

    Raises:
        ConsoleError: the port is taken, the certificate cannot be used, or there is none where
            others than this machine could listen in.
    """

    def __init__(self, address: ConsoleAddress, tls: Callable[[], TlsFiles] | None) -> None:
        if tls is None and not is_loopback(address.host):
            raise ConsoleError(
                f"the console would listen on {address.host} without TLS, and passwords could be "
                "read on the way; leave --console-host at 127.0.0.1, or give the cloud certificates"
            )
        self._tls = tls
        self._socket = _listen(address)
        self.local_only = is_loopback(address.host)
        self.secure = tls is not None
        self._host = address.host

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._socket.getsockname()[1]
        return port

    def url(self, public_host: str = "") -> str:
        """Where a browser finds it.

        Args:
            public_host: name of this machine, for a console that listens on all of its addresses.
        """
        host = public_host if public_host and is_wildcard(self._host) else reachable_as(self._host)
        scheme = "https" if self.secure else "http"
        return f"{scheme}://{Address(host=host, port=self.port)}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    async def run(self, app: ASGIApp) -> None:
        """Serve until cancelled.

        Raises:
            ConsoleError: the certificate cannot be used.
        """
        config = self._config(app)
        server = _Server(config)
        serving = asyncio.create_task(server.serve([self._socket]), name="console")
        renewing = asyncio.create_task(self._renew(config), name="console-certificate")
        deadline = hang_up_on_dawdlers(lambda: server.server_state.connections)
        waiting = asyncio.create_task(deadline, name="console-deadline")
        try:
            # None ends by itself; cancelled, this leaves the first to end in good order.
            with fewer_repeats(logging.getLogger("uvicorn.error")):
                done, _ = await asyncio.wait(
                    (serving, renewing, waiting), return_when=asyncio.FIRST_COMPLETED
                )
            for task in done:
                task.result()
            raise ConsoleError("the console ended by itself; what it logged before tells why")
        finally:
            renewing.cancel()
            waiting.cancel()
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
            except (CloudError, OSError) as err:  # the old one is good for months
                _LOG.warning("the console goes on with its certificate: %s", err)

    def _config(self, app: ASGIApp) -> uvicorn.Config:
        tls = self._tls() if self._tls else None
        config = uvicorn.Config(
            app,
            http="h11",  # httptools takes a head of any size, from anybody
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # whoever sends X-Forwarded-For would be another address
            ws="websockets-sansio",
            ws_max_size=1 << 20,  # a page sends clicks
            timeout_graceful_shutdown=_GRACE_S,
            ssl_certfile=tls.certificate if tls else None,
            ssl_keyfile=tls.key if tls else None,
        )
        try:
            config.load()
        except (OSError, ssl.SSLError) as err:
            raise ConsoleError(
                f"the console's certificate cannot be used: {err}; make the cloud's again"
            ) from err
        return config


class _Server(uvicorn.Server):
    """Leaves signals to the cloud, which ends all of its parts together."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(address: ConsoleAddress) -> socket.socket:
    try:
        made = bound_socket(address.host, address.port)
    except OSError as err:
        raise ConsoleError(
            f"the console cannot listen on {Address(host=address.host, port=address.port)} "
            f"({in_words(err, address.host)}); choose another --console-port, or --no-console"
        ) from err
    made.listen(_BACKLOG)
    made.setblocking(False)
    return made
