"""What a host's name says of where it is."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, and reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name: it may be anything
        return False
