"""A gRPC server on a port: open to this machine, or with TLS to others."""

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable

import grpc

from nestling_cloud.errors import CloudError
from nestling_cloud.fleet.tls import TlsFiles
from nestling_cloud.ports import bound_socket, in_words
from nestling_core.network.address import Address

# Otherwise a second cloud on the same port would start, and get half of the calls.
ONE_SERVER_A_PORT = ("grpc.so_reuseport", 0)
# Who connects and says nothing holds a file until then.
HANDSHAKE_DEADLINE = ("grpc.server_handshake_timeout_ms", 10_000)
# What calls in flight may take to end.
_GRACE_S = 1.0
_CERTIFICATE_CHECK_S = 1.0

_LOG = logging.getLogger(__name__)


class ListenerError(CloudError):
    """A port that cannot be listened on."""


@contextlib.asynccontextmanager
async def listening(
    server: grpc.aio.Server,
    host: str,
    port: int,
    credentials: grpc.ServerCredentials | None = None,
) -> AsyncIterator[Address]:
    """Start a server that has its services, and stop it in the end.

    Args:
        server: what to start.
        host: where it listens.
        port: likewise; 0 takes a free one.
        credentials: of its TLS; None for a listener that only this machine reaches.

    Yields:
        Where it listens.

    Raises:
        ListenerError: the port is taken, or not ours, or the host is not this machine.
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
    """Find out why a host and port cannot be listened on: gRPC tells its log only."""
    try:
        bound_socket(host, port).close()
    except OSError as err:
        return f"{in_words(err, host)}; choose another port, or an address of this machine"
    return "the port is taken or not ours; choose another one"


def tls_credentials(
    files: Callable[[], TlsFiles], *, ask_for_certificate: bool
) -> grpc.ServerCredentials:
    """Credentials of a listener.

    Args:
        files: its certificate; asked for at handshakes, once a second at most, so that a new one
            is taken up.
        ask_for_certificate: let in only whom the authority signed. gRPC has nothing in between
            for Python: without it, a certificate is neither asked for nor looked at.
    """

    def configuration() -> grpc.ServerCertificateConfiguration:
        found = files()
        pair = (found.key.read_bytes(), found.certificate.read_bytes())
        roots = found.authority.read_bytes() if ask_for_certificate else None
        return grpc.ssl_server_certificate_configuration([pair], roots)

    next_look_s = 0.0

    def newer() -> grpc.ServerCertificateConfiguration | None:
        nonlocal next_look_s
        if time.monotonic() < next_look_s:  # strangers may shake hands as often as they like
            return None
        next_look_s = time.monotonic() + _CERTIFICATE_CHECK_S
        try:
            return configuration()
        except (CloudError, OSError) as err:
            _LOG.warning("goes on with the certificate that it has: %s", err)
            return None

    # The stubs do not know that None means: no other one than before.
    return grpc.dynamic_ssl_server_credentials(configuration(), newer, ask_for_certificate)  # type: ignore[arg-type]
