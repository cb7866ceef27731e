"""Binds TCP sockets to IPv4 and IPv6 hosts."""

import socket

from nestling_core.network.hosts import is_wildcard


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a TCP socket that is bound to a host and a port, but does not listen yet.

    With a wildcard address (0.0.0.0 or ::), the socket is bound to IPv4 and IPv6 if the machine has
    both. gRPC and the broker do the same.

    Args:
        host: a name or an address of this machine, or a wildcard address.
        port: the number of the port; 0 picks a free one.

    Returns:
        The bound socket, which the caller has to close.

    Raises:
        OSError: the port is taken or not permitted, or the host is not this machine. `in_words`
            describes the error.
    """
    both = is_wildcard(host) and socket.has_dualstack_ipv6()
    family, kind, protocol, _, where = socket.getaddrinfo(
        "::" if both else host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if both:  # the default differs between machines
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind(where)
    except BaseException:
        bound.close()
        raise
    return bound


def in_words(err: OSError, host: str) -> str:
    """Return the reason why a socket could not be bound, as text for a user.

    Args:
        err: the error that `bound_socket` raised.
        host: the host that was passed to `bound_socket`.
    """
    if isinstance(err, socket.gaierror):
        return f"no address for {host}"
    return err.strerror or str(err)
