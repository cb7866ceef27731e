"""Parses and formats addresses of the form HOST:PORT."""

import re
from dataclasses import dataclass
from typing import Self

from nestling_core.network.hosts import HostError, parse_host

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PORT = re.compile(r"[0-9]{1,5}")


class AddressError(ValueError):
    """Raised when a string is not of the form HOST:PORT."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """The host and port of a server.

    Attributes:
        host: the name or IP address without brackets, as `parse_host` returns it.
        port: the port, 1 to 65535.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the address that a string of the form HOST:PORT represents.

        An IPv6 address must be in brackets.

        Raises:
            AddressError: the text is not HOST:PORT. The message says what to write instead.
        """
        scheme = _SCHEME.match(text)
        if scheme is not None:
            raise AddressError(f"{text!r} is not HOST:PORT: leave out {scheme.group()}")
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
        """Return HOST:PORT, with an IPv6 address in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"
