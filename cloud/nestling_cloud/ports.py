"""Sockets to listen on, for hosts of either family."""

import socket

from nestling_core.network.hosts import is_wildcard


def bound_socket(host: str, port: int) -> socket.socket:
    """Bind a TCP socket of the family that a host has; it does not listen yet.

    The address that stands for all of a machine's does so for both families where there are two, as
    for gRPC and the broker.

    Args:
        host: a name or an address of this machine, or the address that stands for all of them.
        port: 0 takes a free one.

    Raises:
        OSError: the port is taken or not ours, or the host is not this machine; see `in_words`.
    """
    both = is_wildcard(host) and socket.has_dualstack_ipv6()
    family, kind, protocol, _, where = socket.getaddrinfo(
        "::" if both else host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if both:  # whatever the machine's default is
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.bind(where)
    except BaseException:
        made.close()
        raise
    return made


def in_words(err: OSError, host: str) -> str:
    """Why a host and port cannot be listened on."""
    if isinstance(err, socket.gaierror):
        return f"no address for {host}"
    return err.strerror or str(err)
