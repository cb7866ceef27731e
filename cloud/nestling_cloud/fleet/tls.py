"""Defines the TLS files of a server or client.

The module also finds the host by which a machine reaches its own listener.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path

from nestling_core.network.hosts import is_wildcard


@dataclass(frozen=True, kw_only=True)
class TlsFiles:
    """The paths of the PEM files of one server or client.

    Attributes:
        certificate: the file with the certificate, followed by the rest of its chain, if any.
        key: the file with the private key, which may be the same as `certificate`.
        authority: the file with the certificate of the authority that must have signed the other
            side's certificate.
    """

    certificate: Path
    key: Path
    authority: Path

    def client_context(self) -> ssl.SSLContext:
        """Return a client's TLS context, which checks the server's certificate and host name."""
        context = ssl.create_default_context(cafile=self.authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key)
        return context


def reachable_as(host: str) -> str:
    """Return the host by which a machine reaches its own listener.

    Args:
        host: the host that the listener listens on.
    """
    if not is_wildcard(host):
        return host
    return "::1" if ":" in host else "127.0.0.1"
