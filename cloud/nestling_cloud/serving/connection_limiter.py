"""Limits connections, so that clients cannot use up the process's file descriptors.

gRPC's server accepts every connection, and even a client that never authenticates takes up a
descriptor. So the connections to the process's own ports are counted every second. If one network
or all networks together have too many, the youngest connections are shut down. The older ones
mostly belong to authenticated devices, because a client that does not complete the TLS handshake in
time is disconnected.
"""

import asyncio
import contextlib
import errno
import logging
import os
import resource
import socket
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from nestling_core.network.hosts import network_of

# All devices in one building may share an address; each has at most two connections.
PER_PEER = 1024
# Descriptors for other uses: the store, the repository, event loops, the broker's pipes.
RESERVED_FILES = 256
_INTERVAL_S = 1.0
_DESCRIPTORS = Path("/proc/self/fd")
_HOSTS_NAMED = 3

_LOG = logging.getLogger(__name__)

# Device and inode; tells an open file from an earlier one with the same descriptor.
_File = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Peer:
    """The other end of a connection.

    Attributes:
        host: the peer's address.
        port: the peer's port, which distinguishes connections from the same address.
        local_port: the port of this process that the peer is connected to.
    """

    host: str
    port: int
    local_port: int


def raise_file_limit() -> int:
    """Raise the process's soft limit on open files to the hard limit, and return the new limit.

    If that is not possible, the limit stays as it is.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # "unlimited" exceeds Linux's maximum
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def excess(since: Mapping[Peer, float], *, per_peer: int, total: int) -> list[Peer]:
    """Return the connections to shut down.

    Args:
        since: a mapping from each connection's peer to the time at which the connection was first
            seen, in seconds of any clock.
        per_peer: the largest number of connections from one network (see `network_of`).
        total: the largest number of connections from all networks together.

    Returns:
        The peers of these connections:

        - of every network with more than `per_peer` connections, the youngest beyond that number;
        - if more than `total` connections would remain, also the youngest connections of the
          networks with the most connections;
        - if there are more than `total` networks, also the youngest of the remaining connections,
          so that `total` remain.
    """
    by_network: defaultdict[str, list[Peer]] = defaultdict(list)
    oldest_first = sorted(since, key=lambda each: (since[each], each.port))
    for peer in oldest_first:
        by_network[network_of(peer.host)].append(peer)
    share = _fair_share([len(peers) for peers in by_network.values()], total)
    most = max(1, min(per_peer, share))
    gone = [peer for peers in by_network.values() for peer in peers[most:]]
    left = set(since) - set(gone)
    return gone + [peer for peer in oldest_first if peer in left][total:]


def _fair_share(counts: Sequence[int], total: int) -> int:
    """Return the largest limit per network that keeps the sum of connections within `total`.

    `counts` has the number of connections of each network. If no limit is needed, the result is the
    largest of these numbers.
    """
    left = total
    for index, count in enumerate(sorted(counts)):
        share = left // (len(counts) - index)
        if count > share:
            return share
        left -= count
    return max(counts, default=0)


async def limit_connections(ports: Collection[int], *, total: int) -> None:
    """Keep the number of connections within limits until cancelled.

    Every second, the youngest connections beyond the limits are shut down.

    Args:
        ports: the ports that this process listens on.
        total: the largest number of connections from all networks together. One network may have
            at most `PER_PEER` of them.
    """
    since: dict[Peer, float] = {}
    known = Connections(ports)
    with _Slot() as slot:
        while True:
            await asyncio.sleep(_INTERVAL_S)
            now_s = asyncio.get_running_loop().time()
            found = known.find()  # even below the limits, to know which connections are oldest
            since = {peer: since.get(peer, now_s) for peer in found}
            surplus = excess(since, per_peer=PER_PEER, total=total)
            if surplus:
                _LOG.warning("%s", _report(surplus, total))
            for peer in surplus:
                slot.shut_down(found[peer], peer)


def total_for(file_limit: int) -> int:
    """Return the number of connections that leaves enough file descriptors for other uses.

    The result is at least half of the limit.

    Args:
        file_limit: the process's limit on open files.
    """
    return max(file_limit - RESERVED_FILES, file_limit // 2)


class Connections:
    """Finds the connections to this process's listening ports.

    Looking up the addresses of a connection is slow, and there may be ten thousand connections. So
    the addresses of each connection are looked up only once.

    Args:
        ports: the ports that this process listens on.
    """

    def __init__(self, ports: Collection[int]) -> None:
        self._ports = ports
        self._known: dict[int, tuple[_File, Peer | None]] = {}

    def find(self) -> dict[Peer, int]:
        """Return the file descriptor of each open connection, by the connection's peer."""
        found = ((descriptor, self._look(descriptor)) for descriptor in _descriptors())
        self._known = {descriptor: seen for descriptor, seen in found if seen is not None}
        return {
            peer: descriptor
            for descriptor, (_, peer) in self._known.items()
            if peer is not None and peer.local_port in self._ports
        }

    def _look(self, descriptor: int) -> "tuple[_File, Peer | None] | None":
        try:
            status = os.fstat(descriptor)
        except OSError:  # closed in the meantime
            return None
        file = (status.st_dev, status.st_ino)
        known = self._known.get(descriptor)
        return known if known is not None and known[0] == file else (file, _peer(descriptor))


class _Slot:
    """Shuts down connections by means of a reserved file descriptor.

    When there are too many connections, the process may have no other free descriptor.
    """

    def __init__(self) -> None:
        self._null = os.open(os.devnull, os.O_RDWR)
        self._slot = os.dup(self._null)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._slot)
        os.close(self._null)

    def shut_down(self, descriptor: int, peer: Peer) -> None:
        """Shut down a connection as if its peer had closed it.

        The owner of the connection then closes it. Nothing happens if the descriptor has been
        reused for another connection.

        Args:
            descriptor: the file descriptor of the connection.
            peer: the other end of the connection.
        """
        with contextlib.suppress(OSError):
            # The copy stays this connection, even if its owner closes or reuses the descriptor.
            os.dup2(descriptor, self._slot, inheritable=False)
            if _peer(self._slot) == peer:
                with _borrowed(self._slot) as connection:
                    connection.shutdown(socket.SHUT_RDWR)
        os.dup2(self._null, self._slot, inheritable=False)


@contextlib.contextmanager
def _borrowed(descriptor: int) -> Iterator[socket.socket]:
    """Yield a socket for a file descriptor, and leave the descriptor open afterwards."""
    connection = socket.socket(fileno=descriptor)
    try:
        yield connection
    finally:
        connection.detach()


def _descriptors() -> Sequence[int]:
    try:
        return [int(descriptor.name) for descriptor in _DESCRIPTORS.iterdir()]
    except OSError as err:
        if err.errno != errno.EMFILE:
            raise
    return range(resource.getrlimit(resource.RLIMIT_NOFILE)[0])  # all are in use


def _peer(descriptor: int) -> Peer | None:
    """Return the other end of a connection, or None if the descriptor is not a TCP connection."""
    try:
        with _borrowed(descriptor) as connection:
            if connection.family not in {socket.AF_INET, socket.AF_INET6}:
                return None
            host, port = connection.getpeername()[:2]
            return Peer(host=host, port=port, local_port=connection.getsockname()[1])
    except OSError:  # not a socket, a listening one, or one that has ended
        return None


def _report(surplus: Sequence[Peer], total: int) -> str:
    hosts = sorted({peer.host for peer in surplus})
    more = f" and {len(hosts) - _HOSTS_NAMED} more" if len(hosts) > _HOSTS_NAMED else ""
    return (
        f"shut down {len(surplus)} connections beyond the limit of {PER_PEER} per peer and {total} "
        f"in all, from {', '.join(hosts[:_HOSTS_NAMED])}{more}"
    )
