"""Parses and classifies host names and IP addresses.

A parsed IPv6 address has no brackets. Only `nestling_core.network.address` adds brackets again.
"""

import ipaddress
import re

_MOST_CHARACTERS = 253
# Providers assign each customer at least a /64, and the customer may use every address in it.
_IPV6_NETWORK_BITS = 64
# RFC 1123 does not allow underscores in host names, but names of containers have them.
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


class HostError(ValueError):
    """Raised when a string is neither a host name nor an IP address."""


def parse_host(text: str) -> str:
    """Return a host name or IP address in its canonical form.

    TLS compares the host with a certificate, so every protocol must use the same form: lower case,
    no trailing dot, an international name in its ASCII form, and an IPv6 address in its shortest
    form and without brackets. An IPv4-mapped IPv6 address becomes an IPv4 address.

    Raises:
        HostError: the text is neither a host name nor an IP address, or the address has a zone. The
            message says what to use instead.
    """
    address = _address(text)
    if address is not None:
        return address
    try:
        name = text.removesuffix(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        name = ""
    if len(name) > _MOST_CHARACTERS or not all(map(_LABEL.fullmatch, name.split("."))):
        raise HostError(
            f"{text!r} is not a host: use a name such as cloud.example.org, or an IP address"
        )
    return name


def _address(text: str) -> str | None:
    """Return an IP address in its shortest form, or None if the text is not an IP address.

    An IPv4-mapped IPv6 address becomes an IPv4 address. Raise HostError if the address has a zone.
    """
    bracketed = text.startswith("[") and text.endswith("]")
    try:
        address = ipaddress.ip_address(text[1:-1] if bracketed else text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return None if bracketed else str(address)
    if address.scope_id is not None:
        raise HostError(
            f"{text!r} has a zone, which no certificate can contain: use a host name, or an "
            "address that is not link-local"
        )
    return str(address.ipv4_mapped or address)


def is_loopback(host: str) -> bool:
    """Return whether a host is an address of this machine that other machines cannot reach.

    `localhost` is the only name that counts, because another name may resolve to any address.
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name may resolve to any address
        return False


def network_of(host: str) -> str:
    """Return the network under which to count a client, for example to limit its requests.

    The network is the /64 of an IPv6 address, and the host itself for anything else. An IPv4-mapped
    IPv6 address counts as its IPv4 address.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), _IPV6_NETWORK_BITS), strict=False))


def is_wildcard(host: str) -> bool:
    """Return whether listening on a host means listening on every address of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def is_local(host: str) -> bool:
    """Return whether a host always refers to the machine that uses it.

    Loopback and wildcard addresses do.
    """
    return is_loopback(host) or is_wildcard(host)
