"""Provides the TLS certificates and the public names of a cloud's listeners.

A listener whose host other machines can reach always uses TLS and credentials.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from nestling_cloud.errors import CloudError
from nestling_cloud.fleet.enrolment import Enrolment
from nestling_cloud.fleet.tls import TlsFiles
from nestling_core.network.address import Address
from nestling_core.network.hosts import is_local, is_loopback, is_wildcard
from nestling_core.parsing.throttled_log import fewer_repeats

_LISTS_CHECK_S = 0.5
# Checked often, because a change of the clock may make a certificate invalid at any time.
_CERTIFICATE_CHECK_S = 60.0

_LOG = logging.getLogger(__name__)


class ReloadableBroker(Protocol):
    """A broker that can read its files again while it runs."""

    def reload(self) -> None:
        """Make the broker read its access list, revocation list and certificate again."""


class ExposureError(CloudError):
    """Raised when a listener that others can reach has no host name to put in its certificate."""


@dataclass(frozen=True, kw_only=True)
class Security:
    """Provides the TLS files of a cloud's listeners and the addresses that devices use.

    Attributes:
        enrolment: the fleet's authority and roster.
        public_host: the name or address by which devices reach this machine.
        names: the names and addresses in the listeners' certificates.
    """

    enrolment: Enrolment
    public_host: str
    names: tuple[str, ...]

    @classmethod
    @contextlib.contextmanager
    def open(cls, state: Path, host: str, public_host: str | None) -> Iterator[Self]:
        """Open the authority and the roster in a cloud's state folder.

        The roster is closed at the end of the block.

        Args:
            state: the cloud's state folder.
            host: the host that the cloud listens on.
            public_host: the name or address by which devices reach the cloud; None for `host`.

        Raises:
            ExposureError: `host` is a wildcard address, and `public_host` is missing.
            AuthorityError: the authority cannot be read or written, or this process runs as root
                in another user's folder.
            RosterError: the roster cannot be opened.
        """
        public = public_host or _own_public_host(host)
        names = {public, *([] if is_wildcard(host) else [host])}
        with Enrolment.open(state) as enrolment:
            yield cls(enrolment=enrolment, public_host=public, names=tuple(sorted(names)))

    def server_files(self) -> TlsFiles:
        """Return the TLS files of every listener except the broker.

        Their certificate is renewed first if it is due.
        """
        return self.enrolment.authority.server("server", self.names)

    def client_files(self) -> TlsFiles:
        """Return the TLS files with which the cloud connects to its broker.

        Their certificate is renewed first if it is due.
        """
        return self.enrolment.authority.client()

    def public(self, address: Address) -> str:
        """Return the HOST:PORT at which devices reach a listener.

        Args:
            address: the address at which this machine reaches the listener. If its host is a
                loopback or wildcard address, `public_host` replaces this host.
        """
        if not is_local(address.host):
            return str(address)
        return str(Address(host=self.public_host, port=address.port))

    async def keep_broker_updated(self, broker: ReloadableBroker | None) -> None:
        """Keep the broker's lists and certificates up to date until cancelled.

        The access list and the revocation list are rewritten when the roster changes. The
        certificates of the broker, and of the cloud as its client, are renewed when they are due.

        Args:
            broker: the broker that this process started. None for a separate broker that reads the
                same files, whose operator must send it SIGHUP when the files change.
        """
        loop = asyncio.get_running_loop()
        files = _BrokerFiles(
            enrolment=self.enrolment, certificate_due_s=loop.time() + _CERTIFICATE_CHECK_S
        )
        with fewer_repeats(_LOG):
            while True:
                try:
                    await asyncio.to_thread(files.write, loop.time())
                except (CloudError, OSError) as err:
                    _LOG.warning("the broker keeps its present files: %s", err)
                # After an error too: some files may have been written before it.
                if files.changed and broker is not None:
                    broker.reload()
                files.changed = False
                await asyncio.sleep(_LISTS_CHECK_S)


@dataclass(kw_only=True)
class _BrokerFiles:
    """Writes the broker's files when they are out of date.

    Attributes:
        enrolment: the authority and the roster from which the files are made.
        certificate_due_s: the next time to check the certificates, by the event loop's clock.
        revision: the revision of the roster from which the lists were made.
        changed: whether the broker has to read its files again.
    """

    enrolment: Enrolment
    certificate_due_s: float
    revision: int = -1
    changed: bool = False

    def write(self, now_s: float) -> None:
        """Write the files that are out of date."""
        if self.enrolment.roster.revision() != self.revision:
            self.revision = self.enrolment.broker.write_lists()
            self.changed = True
        if now_s >= self.certificate_due_s:
            self.certificate_due_s = now_s + _CERTIFICATE_CHECK_S
            self.enrolment.authority.client()  # renews the files that new connections read
            self.changed |= self.enrolment.broker.write_certificate()


def _own_public_host(host: str) -> str:
    """Return the listener's own host if devices can reach the listener by this host.

    Raises:
        ExposureError: the host is a wildcard address, which no device can connect to.
    """
    if is_wildcard(host):
        raise ExposureError(
            f"a listener on {host} lets other machines in: give the name or address by which "
            "devices reach this one with --public-host NAME, because its certificate needs it"
        )
    return host


def needs_tls(*hosts: str) -> bool:
    """Return whether other machines can reach a listener on one of these hosts."""
    return not all(is_loopback(host) for host in hosts)
