"""Finds out why a server cannot be reached.

gRPC and paho report the reason for a failure only as free text. This module looks up the same name
and connects again with the standard library, including the TLS handshake. It derives the reason
from the error codes of libc and OpenSSL.
"""

import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

from nestling_core.network.address import Address

# For connecting to one IP address, and again for the TLS handshake. libc limits the name lookup.
_TIMEOUT_S = 5.0
# A gRPC server sends its first frame, or a server disconnects a refused client, within this time.
_REPLY_S = 1.0
_NO_SUCH_NAME = {socket.EAI_NONAME, socket.EAI_NODATA}
# X509_V_ERR_... of OpenSSL's x509_vfy.h.
_NOT_YET_VALID, _EXPIRED, _OTHER_NAME, _OTHER_ADDRESS = 9, 10, 62, 64


@dataclass(frozen=True, kw_only=True)
class ConnectionProblem:
    """The reason why a connection to a server fails.

    Attributes:
        problem: what is wrong, and with which server.
        advice: what to do about it.
    """

    problem: str
    advice: str

    def __str__(self) -> str:
        return f"{self.problem}; {self.advice}"


def find_connection_problem(
    address: Address, tls: ssl.SSLContext | None
) -> ConnectionProblem | None:
    """Return the reason why a connection to a server fails, or None if it succeeds.

    The function connects to the server. With TLS, it also completes the handshake, and then waits
    briefly to see whether the server closes the connection.

    Args:
        address: the address of the server.
        tls: the context to connect with, or None for a server without TLS. Its ALPN protocols are
            set to h2.

    Returns:
        The problem, or None if the connection succeeds.
    """
    try:
        connection = socket.create_connection((address.host, address.port), timeout=_TIMEOUT_S)
    except socket.gaierror as err:
        return _lookup_problem(address, err)
    except OSError as err:
        return ConnectionProblem(
            problem=f"{address} cannot be reached: {err.strerror or 'no answer in time'}",
            advice="check the network, the address, and that the cloud runs there",
        )
    with connection:
        return None if tls is None else _shake_hands(address, connection, tls)


def _lookup_problem(address: Address, err: socket.gaierror) -> ConnectionProblem:
    if err.errno in _NO_SUCH_NAME:
        return ConnectionProblem(
            problem=f"no address for {address.host}",
            advice="check the spelling of the name, or give an IP address",
        )
    return ConnectionProblem(
        problem=f"the name {address.host} cannot be looked up at present ({err.strerror})",
        advice="check this device's network and its name server",
    )


def _shake_hands(
    address: Address, connection: socket.socket, tls: ssl.SSLContext
) -> ConnectionProblem | None:
    tls.set_alpn_protocols(["h2"])  # gRPC servers disconnect without it; brokers ignore it
    try:
        with tls.wrap_socket(connection, server_hostname=address.host) as secure:
            return _wait_for_reply(address, secure)
    except ssl.SSLCertVerificationError as err:
        return _certificate_problem(address, err)
    except OSError:  # includes ssl.SSLError
        return ConnectionProblem(
            problem=f"{address} answers, but does not speak TLS as a cloud does",
            advice="check that it is the port for devices, and that the cloud runs with TLS",
        )


def _wait_for_reply(address: Address, secure: ssl.SSLSocket) -> ConnectionProblem | None:
    """Wait at most one second, and return a problem if the server closes the connection.

    Some servers close it after the handshake because they accept no client without a certificate.
    """
    try:
        secure.settimeout(_REPLY_S)
        if secure.recv(1):
            return None
    except TimeoutError:  # the server waits for the client to begin, as brokers do
        return None
    except OSError:
        pass
    return ConnectionProblem(
        problem=f"{address} closes the connection after the handshake, like a port that requires a "
        "client certificate and gets none that it accepts",
        advice="to enrol, give the cloud's enrolment port (default: 8501); a device that was "
        "enrolled before must be enrolled again",
    )


def _certificate_problem(address: Address, err: ssl.SSLCertVerificationError) -> ConnectionProblem:
    if err.verify_code in {_NOT_YET_VALID, _EXPIRED}:
        when = "is not valid yet" if err.verify_code == _NOT_YET_VALID else "has expired"
        return ConnectionProblem(
            problem=f"by this device's clock, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, the "
            f"certificate of {address} {when}",
            advice="set the clock and try again",
        )
    if err.verify_code in {_OTHER_NAME, _OTHER_ADDRESS}:
        return ConnectionProblem(
            problem=f"the certificate of {address} is for other names",
            advice=f"start the cloud with --public-host {address.host}, or use one of its names",
        )
    return ConnectionProblem(
        problem=f"{address} is not this device's cloud: its certificate comes from another "
        "authority",
        advice="check --cloud, and that the token comes from this cloud",
    )
