"""The TLS files of a server or client, and the host to reach a local listener by."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from nestling_core.network.hosts import is_wildcard


@dataclass(frozen=True, kw_only=True)
class TlsFiles:
    """PEM files of one server or client.

    Attributes:
        certificate: its certificate, with its chain if it needs one.
        key: its private key; may be the same file.
        authority: the authority that must have signed the other side's certificate.
    """

    certificate: Path
    key: Path
    authority: Path

    def client_context(self) -> ssl.SSLContext:
        """Return a client's TLS context; it checks that the server's certificate has its name."""
        context = ssl.create_default_context(cafile=self.authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key)
        return context


def reachable_as(host: str) -> str:
    """Return the host that reaches a listener from its own machine."""
    if not is_wildcard(host):
        return host
    return "::1" if ":" in host else "127.0.0.1"
