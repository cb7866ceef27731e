"""Where TLS is a must, and the files that it takes."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from nestling_core.network.hosts import is_wildcard


@dataclass(frozen=True, kw_only=True)
class TlsFiles:
    """PEM files of one server or client.

    Attributes:
        certificate: its own, with whatever chain it needs.
        key: its private key; may be the same file.
        authority: what the other side's certificate has to be signed by.
    """

    certificate: Path
    key: Path
    authority: Path

    def client_context(self) -> ssl.SSLContext:
        """What a client connects with; the other side has to have the name that it is called by."""
        context = ssl.create_default_context(cafile=self.authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key)
        return context


def reachable_as(host: str) -> str:
    """What reaches a listener from its own machine."""
    if not is_wildcard(host):
        return host
    return "::1" if ":" in host else "127.0.0.1"
