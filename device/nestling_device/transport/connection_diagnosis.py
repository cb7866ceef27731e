"""Finds out what keeps this device from a server, by connecting with the standard library.

Why a connection failed, gRPC and paho say only in free text. This module looks up the same name,
connects, does the TLS handshake once more, and reads the reason from the codes of libc and OpenSSL.
"""

import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

from nestling_core.network.address import Address

_TIMEOUT_S = 5.0
# Within this time a gRPC server sends its first frame, and any server hangs up on a refused client.
_REPLY_S = 1.0
_NO_SUCH_NAME = {socket.EAI_NONAME, socket.EAI_NODATA}
# X509_V_ERR_... of OpenSSL's x509_vfy.h.
_NOT_YET_VALID, _EXPIRED, _OTHER_NAME, _OTHER_ADDRESS = 9, 10, 62, 64


@dataclass(frozen=True, kw_only=True)
class ConnectionProblem:
    """Why no connection to a server can be made.

    Attributes:
        found: what is wrong, with the address in it.
        advice: what to do.
    """

    found: str
    advice: str

    def __str__(self) -> str:
        return f"{self.found}; {self.advice}"


def find_obstacle(
    address: Address, tls: ssl.SSLContext | None, *, timeout_s: float = _TIMEOUT_S
) -> ConnectionProblem | None:
    """Connect to a server as far as the TLS handshake, and see what goes wrong.

    Args:
        address: of the server.
        tls: context to connect with; None for a server without TLS.
        timeout_s: for each step but the look-up of the name, which is libc's to limit.

    Returns:
        None if nothing is in the way.
    """
    try:
        line = socket.create_connection((address.host, address.port), timeout=timeout_s)
    except socket.gaierror as err:
        return _lookup_obstacle(address, err)
    except OSError as err:
        return ConnectionProblem(
            found=f"{address} cannot be reached: {err.strerror or 'no answer in time'}",
            advice="check the network, the address, and that the cloud runs there",
        )
    with line:
        return None if tls is None else _shake_hands(address, line, tls)


def _lookup_obstacle(address: Address, err: socket.gaierror) -> ConnectionProblem:
    if err.errno in _NO_SUCH_NAME:
        found = f"no address for {address.host}"
        return ConnectionProblem(
            found=found, advice="check how the name is written, or give an address"
        )
    return ConnectionProblem(
        found=f"the address of {address.host} cannot be looked up just now ({err.strerror})",
        advice="check this device's network and its name server",
    )


def _shake_hands(
    address: Address, line: socket.socket, tls: ssl.SSLContext
) -> ConnectionProblem | None:
    tls.set_alpn_protocols(["h2"])  # gRPC's listeners hang up without; brokers do not look at it
    try:
        with tls.wrap_socket(line, server_hostname=address.host) as secure:
            return _wait_for_reply(address, secure)
    except ssl.SSLCertVerificationError as err:
        return _certificate_obstacle(address, err)
    except OSError:  # ssl.SSLError is one
        return ConnectionProblem(
            found=f"{address} answers, but does not speak TLS as a cloud does",
            advice="check that it is the port for devices, and of a cloud with TLS",
        )


def _wait_for_reply(address: Address, secure: ssl.SSLSocket) -> ConnectionProblem | None:
    """Check that the server stays: one that misses a certificate hangs up after the handshake."""
    try:
        secure.settimeout(_REPLY_S)
        if secure.recv(1):
            return None
    except TimeoutError:  # it waits for us to begin, as brokers do
        return None
    except OSError:
        pass
    return ConnectionProblem(
        found=f"{address} hangs up after the handshake, like a port that asks for a certificate "
        "and gets none that it accepts",
        advice="to enrol, give the cloud's enrolment port (8501 unless the cloud says otherwise); "
        "a device that was enrolled has to be enrolled again",
    )


def _certificate_obstacle(address: Address, err: ssl.SSLCertVerificationError) -> ConnectionProblem:
    if err.verify_code in {_NOT_YET_VALID, _EXPIRED}:
        when = "is not valid yet" if err.verify_code == _NOT_YET_VALID else "has expired"
        return ConnectionProblem(
            found=f"by this device's clock, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, the "
            f"certificate of {address} {when}",
            advice="set the clock and try again",
        )
    if err.verify_code in {_OTHER_NAME, _OTHER_ADDRESS}:
        return ConnectionProblem(
            found=f"the certificate of {address} is for other names",
            advice=f"start the cloud with --public-host {address.host}, or use one of its names",
        )
    return ConnectionProblem(
        found=f"{address} is not this device's cloud: its certificate comes from another authority",
        advice="check --cloud, and that the token is of this cloud",
    )
