"""Decides which of a cloud's listeners use TLS, and keeps their certificates and names.

A listener that other machines can reach always uses TLS and credentials: its host turns them on.
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
    """A broker that can reload its files."""

    def reload(self) -> None:
        """Read the lists and the certificate again."""


class ExposureError(CloudError):
    """A listener is reachable by other machines, but has no name for its certificate."""


@dataclass(frozen=True, kw_only=True)
class Security:
    """A cloud's authority, and the names that its listeners are reached by.

    Attributes:
        enrolment: the authority and the roster.
        public_host: name or address by which devices reach this machine.
        names: names and addresses in the listeners' certificates.
    """

    enrolment: Enrolment
    public_host: str
    names: tuple[str, ...]

    @classmethod
    @contextlib.contextmanager
    def open(cls, state: Path, host: str, public_host: str | None) -> Iterator[Self]:
        """Open the authority in a state folder.

        Args:
            state: the cloud's state folder.
            host: the host that it listens on.
            public_host: name or address by which devices reach it; None for `host`.

        Raises:
            ExposureError: `host` is a wildcard and `public_host` is missing.
            AuthorityError, RosterError: the state folder cannot be used.
        """
        public = public_host or _own_public_host(host)
        names = {public, *([] if is_wildcard(host) else [host])}
        with Enrolment.open(state) as enrolment:
            yield cls(enrolment=enrolment, public_host=public, names=tuple(sorted(names)))

    def server_files(self) -> TlsFiles:
        """Return the files of every listener but the broker's, renewed when due."""
        return self.enrolment.authority.server("server", self.names)

    def client_files(self) -> TlsFiles:
        """Return the files of the cloud as the broker's client, renewed when due."""
        return self.enrolment.authority.client()

    def public(self, address: Address) -> str:
        """Return the HOST:PORT by which devices reach what this machine reaches as `address`."""
        if not is_local(address.host):
            return str(address)
        return str(Address(host=self.public_host, port=address.port))

    async def keep_broker_updated(self, broker: ReloadableBroker | None) -> None:
        """Apply changes of the roster to the broker, and renew certificates, until cancelled.

        Args:
            broker: the broker that we started. None for a separate one that reads the same files;
                whoever started it must send it SIGHUP when they change.
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
    """The state of the broker's files.

    Attributes:
        enrolment: what the files are made from.
        certificate_due_s: when to check the certificates next, in the loop's time.
        revision: revision of the roster that the lists were made from.
        changed: whether the broker has to reload its files.
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
    """Return the listener's own host if devices can reach it by that.

    Raises:
        ExposureError: it is a wildcard address.
    """
    if is_wildcard(host):
        raise ExposureError(
            f"a listener on {host} lets other machines in: give the name or address by which "
            "devices reach this one with --public-host NAME, because its certificate needs it"
        )
    return host


def needs_tls(*hosts: str) -> bool:
    """Return whether one of these hosts can be reached from other machines."""
    return not all(is_loopback(host) for host in hosts)
