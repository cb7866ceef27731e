"""HOST:PORT, as people, files and clouds write it; the one place that reads and writes it."""

import re
from dataclasses import dataclass
from typing import Self

from nestling_core.network.hosts import HostError, parse_host

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PORT = re.compile(r"[0-9]{1,5}")


class AddressError(ValueError):
    """A text that is not HOST:PORT."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where something listens.

    Attributes:
        host: a name or an address, as `parse_host` returns it: without brackets.
        port: 1 to 65535.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read HOST:PORT; an IPv6 address stands in brackets.

        Raises:
            AddressError: it is something else; the text says what to write instead.
        """
        scheme = _SCHEME.match(text)
        if scheme is not None:
            raise AddressError(f"{text!r} is not HOST:PORT: give it without {scheme.group()}")
        host, _, port = text.rpartition(":")
        if not host or not _PORT.fullmatch(port) or not 0 < int(port) < 65536:
            raise AddressError(f"{text!r} is not HOST:PORT, for example cloud.example.org:8500")
        if ":" in host and not host.startswith("["):
            raise AddressError(
                f"{text!r} is not HOST:PORT: write an IPv6 address in brackets, [{host}]:{port}"
            )
        try:
            return cls(host=parse_host(host), port=int(port))
        except HostError as err:
            raise AddressError(f"{text!r} is not HOST:PORT: {err}") from err

    def __str__(self) -> str:
        """HOST:PORT, an IPv6 address in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"
