"""Where TLS is a must, and the files that it takes."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class TlsFiles:
    """PEM files of one server.

    Attributes:
        certificate: the server's, with whatever chain it needs.
        key: its private key.
        authority: what clients' certificates have to be signed by.
    """

    certificate: Path
    key: Path
    authority: Path


def is_loopback(host: str) -> bool:
    """Whether a host to listen on can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name: it may be anything
        return False
