"""Where TLS is a must, and the files that it takes."""

import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from nestling.hosts import is_loopback


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


def is_wildcard(host: str) -> bool:
    """Whether a host to listen on stands for every address of this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return False


def is_local(host: str) -> bool:
    """Whether a host means the machine that it is used on, whichever that is."""
    return is_loopback(host) or is_wildcard(host)


def reachable_as(host: str) -> str:
    """What reaches a listener from its own machine."""
    if not is_wildcard(host):
        return host
    return "::1" if ":" in host else "127.0.0.1"
