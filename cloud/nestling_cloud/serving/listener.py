"""Runs a gRPC server on a port.

A server that only this machine can reach may run without TLS.
"""

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable

import grpc

from nestling_cloud.errors import CloudError
from nestling_cloud.fleet.tls import TlsFiles
from nestling_cloud.ports import bound_socket, in_words
from nestling_core.network.address import Address

# Otherwise a second cloud could start on the same port and get half of the calls.
ONE_SERVER_A_PORT = ("grpc.so_reuseport", 0)
# A client that connects and sends nothing takes up a file descriptor for this long.
HANDSHAKE_DEADLINE = ("grpc.server_handshake_timeout_ms", 10_000)
# How long calls in progress may take to end at shutdown.
_GRACE_S = 1.0
_CERTIFICATE_CHECK_S = 1.0

_LOG = logging.getLogger(__name__)


class ListenerError(CloudError):
    """Raised when the cloud cannot listen on a host and port."""


@contextlib.asynccontextmanager
async def listening(
    server: grpc.aio.Server,
    host: str,
    port: int,
    credentials: grpc.ServerCredentials | None = None,
) -> AsyncIterator[Address]:
    """Start a gRPC server on a host and port, and stop it at the end of the block.

    Calls that are in progress then have one second to end.

    Args:
        server: the server with its services.
        host: the host to listen on.
        port: the port to listen on; 0 picks a free one.
        credentials: the TLS credentials; None for a listener that only this machine can reach.

    Yields:
        The address that the server listens on.

    Raises:
        ListenerError: the port is taken or needs privileges, or the host is not an address of this
            machine.
    """
    wanted = str(Address(host=host, port=port))
    try:
        if credentials is None:
            port = server.add_insecure_port(wanted)
        else:
            port = server.add_secure_port(wanted, credentials)
    except RuntimeError as err:
        raise ListenerError(f"cannot listen on {wanted}: {_why_not(host, port)}") from err
    await server.start()
    try:
        yield Address(host=host, port=port)
    finally:
        await server.stop(_GRACE_S)


def _why_not(host: str, port: int) -> str:
    """Return why the cloud cannot listen on a host and port.

    gRPC reports the reason only in its own log.
    """
    try:
        bound_socket(host, port).close()
    except OSError as err:
        return f"{in_words(err, host)}; choose another port, or an address of this machine"
    return "the port is taken or needs privileges; choose another one"


def tls_credentials(
    files: Callable[[], TlsFiles], *, ask_for_certificate: bool
) -> grpc.ServerCredentials:
    """Return TLS credentials that always use a listener's newest certificate.

    If a newer certificate cannot be made or read, the current one stays in use.

    Args:
        files: a function that returns the paths of the listener's files, after renewing the
            certificate if it is due. It is called at handshakes, at most once a second.
        ask_for_certificate: whether to accept only clients with a certificate of the authority. If
            not, client certificates are neither requested nor checked. gRPC for Python has no
            setting that makes them optional.

    Raises:
        CloudError: `files` failed to provide the first certificate.
        OSError: the first certificate or its key cannot be read.
    """

    def configuration() -> grpc.ServerCertificateConfiguration:
        found = files()
        pair = (found.key.read_bytes(), found.certificate.read_bytes())
        roots = found.authority.read_bytes() if ask_for_certificate else None
        return grpc.ssl_server_certificate_configuration([pair], roots)

    next_look_s = 0.0

    def newer() -> grpc.ServerCertificateConfiguration | None:
        nonlocal next_look_s
        if time.monotonic() < next_look_s:  # anybody may start handshakes at any rate
            return None
        next_look_s = time.monotonic() + _CERTIFICATE_CHECK_S
        try:
            return configuration()
        except (CloudError, OSError) as err:
            _LOG.warning(
                "cannot renew the listener's certificate, keeping the present one: %s", err
            )
            return None

    # The stubs do not allow None, which means that the configuration has not changed.
    return grpc.dynamic_ssl_server_credentials(configuration(), newer, ask_for_certificate)  # type: ignore[arg-type]
