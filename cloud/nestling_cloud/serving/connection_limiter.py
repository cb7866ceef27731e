"""Keeps one peer, and all peers together, from using up the process's file descriptors.

gRPC's server accepts every connection, and one without a certificate takes up a descriptor too. So
the connections to our ports are counted every second, and the youngest ones of a peer with too many
are shut down. Older connections belong to authenticated devices, because the handshake has a
deadline.
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
        host: its address.
        port: its port, which distinguishes its connections.
        local_port: our port that it is connected to.
    """

    host: str
    port: int
    local_port: int


def raise_file_limit() -> int:
    """Raise the soft limit of open files to the hard one, and return the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # "unlimited" exceeds Linux's maximum
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def excess(since: Mapping[Peer, float], *, per_peer: int, total: int) -> list[Peer]:
    """Return the connections to shut down.

    Args:
        since: when each connection was first seen, in seconds.
        per_peer: most connections from one network (`network_of`).
        total: most connections from all networks together.

    Returns:
        The youngest connections of every network beyond `per_peer`. If more than `total` would
        remain, also the youngest of the networks that have the most. If there are more than
        `total` networks, also the youngest of all.
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
    """Return the largest limit for each network that keeps all together within `total`."""
    left = total
    for index, count in enumerate(sorted(counts)):
        share = left // (len(counts) - index)
        if count > share:
            return share
        left -= count
    return max(counts, default=0)


async def limit_connections(ports: Collection[int], *, per_peer: int, total: int) -> None:
    """Shut down the youngest connections beyond the limits, every second, until cancelled.

    Args:
        ports: our listening ports.
        per_peer: most connections from one network to all of the ports.
        total: most connections from all networks together.
    """
    since: dict[Peer, float] = {}
    known = Connections(ports)
    with _Slot() as slot:
        while True:
            await asyncio.sleep(_INTERVAL_S)
            now_s = asyncio.get_running_loop().time()
            found = known.find()  # even below the limits, to know which connections are oldest
            since = {peer: since.get(peer, now_s) for peer in found}
            surplus = excess(since, per_peer=per_peer, total=total)
            if surplus:
                _LOG.warning("%s", _report(surplus, per_peer, total))
            for peer in surplus:
                slot.shut_down(found[peer], peer)


def total_for(file_limit: int) -> int:
    """Return the most connections of all peers that leave enough descriptors for other uses.

    Args:
        file_limit: the process's limit of open files.
    """
    return max(file_limit - RESERVED_FILES, file_limit // 2)


class Connections:
    """This process's connections to its listening ports.

    Looking up a socket's addresses is slow, and there may be ten thousand of them, so each is
    looked up once.

    Args:
        ports: our listening ports.
    """

    def __init__(self, ports: Collection[int]) -> None:
        self._ports = ports
        self._known: dict[int, tuple[_File, Peer | None]] = {}

    def find(self) -> dict[Peer, int]:
        """Return the descriptors of the present connections."""
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
    """A reserved descriptor for shutting down a connection, as there may be no free one left."""

    def __init__(self) -> None:
        self._null = os.open(os.devnull, os.O_RDWR)
        self._slot = os.dup(self._null)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._slot)
        os.close(self._null)

    def shut_down(self, descriptor: int, peer: Peer) -> None:
        """Shut down a connection as if its peer had closed it; its owner then closes it.

        Args:
            descriptor: descriptor of the connection.
            peer: its other end; if the descriptor belongs to another connection now, do nothing.
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
    """Yield a socket over a descriptor without closing it."""
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
    """Return the other end of a connection; None if the descriptor is no TCP connection."""
    try:
        with _borrowed(descriptor) as connection:
            if connection.family not in {socket.AF_INET, socket.AF_INET6}:
                return None
            host, port = connection.getpeername()[:2]
            return Peer(host=host, port=port, local_port=connection.getsockname()[1])
    except OSError:  # not a socket, a listening one, or one that has ended
        return None


def _report(surplus: Sequence[Peer], per_peer: int, total: int) -> str:
    hosts = sorted({peer.host for peer in surplus})
    more = f" and {len(hosts) - _HOSTS_NAMED} more" if len(hosts) > _HOSTS_NAMED else ""
    return (
        f"shut down {len(surplus)} connections beyond the limit of {per_peer} per peer and {total} "
        f"in all, from {', '.join(hosts[:_HOSTS_NAMED])}{more}"
    )
