"""Names and addresses of machines: read once, where a person or a file gives them.

Inside, a host is never bracketed; only `nestling_core.network.address` puts the brackets around an
IPv6 address.
"""

import ipaddress
import re

_MOST_CHARACTERS = 253
# A provider gives each customer at least this much, and the customer may use every address.
_IPV6_NETWORK_BITS = 64
# RFC 1123 allows no underscore in a host's name, but containers have them.
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


class HostError(ValueError):
    """A text that names no machine."""


def parse_host(text: str) -> str:
    """Read the name or the address of a machine.

    TLS compares the text with a certificate, so every protocol gets the same one: lower case,
    without a dot at the end, an international name in its ASCII form, an IPv6 address in its
    shortest form and without brackets.

    Raises:
        HostError: it is neither; the text says why.
    """
    found = _address(text)
    if found is not None:
        return found
    try:
        name = text.removesuffix(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        name = ""
    if len(name) > _MOST_CHARACTERS or not all(map(_LABEL.fullmatch, name.split("."))):
        raise HostError(f"{text!r} is no host: use a name such as cloud.example.org, or an address")
    return name


def _address(text: str) -> str | None:
    """Write an IP address in its shortest form, None if it is something else."""
    bracketed = text.startswith("[") and text.endswith("]")
    try:
        found = ipaddress.ip_address(text[1:-1] if bracketed else text)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv4Address):
        return None if bracketed else str(found)
    if found.scope_id is not None:
        raise HostError(
            f"{text!r} holds a zone, which no certificate can name: use a host's name, or an "
            "address that is not link-local"
        )
    return str(found.ipv4_mapped or found)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, and reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name: it may be anything
        return False


def network_of(host: str) -> str:
    """Name the network to count a client by: the /64 of an IPv6 address, anything else as it is.

    An IPv4 address that is written as an IPv6 one counts as IPv4.
    """
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(found, ipaddress.IPv4Address):
        return host
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(found), _IPV6_NETWORK_BITS), strict=False))


def is_wildcard(host: str) -> bool:
    """Whether a host to listen on stands for every address of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def is_local(host: str) -> bool:
    """Whether a host means the machine that it is used on, whichever that is."""
    return is_loopback(host) or is_wildcard(host)
