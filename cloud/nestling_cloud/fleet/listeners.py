"""Which of a cloud's listeners speak TLS, under what names, and with whose certificates.

Beyond this machine nothing listens without TLS and credentials: a host that others can reach
turns it on by itself.
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
# A clock that is set while we run may end a certificate at any time, or put off its beginning.
_CERTIFICATE_CHECK_S = 60.0

_LOG = logging.getLogger(__name__)


class ReadsFiles(Protocol):
    """A broker that reads its files again when it is told to."""

    def reload(self) -> None:
        """Read lists and certificates again."""


class ExposureError(CloudError):
    """A listener that others could reach, and that they could not trust or be trusted by."""


@dataclass(frozen=True, kw_only=True)
class Security:
    """A cloud's authority, and the names that its listeners are reached by.

    Attributes:
        enrolment: of its state folder.
        public_host: how devices are told to reach this machine.
        names: what the listeners' certificates are good for.
    """

    enrolment: Enrolment
    public_host: str
    names: tuple[str, ...]

    @classmethod
    @contextlib.contextmanager
    def open(cls, state: Path, host: str, public_host: str | None) -> Iterator[Self]:
        """Open the authority in a state folder.

        Args:
            state: of the cloud.
            host: where it listens.
            public_host: how devices reach it, where that is another name.

        Raises:
            ExposureError: nobody said how devices reach it.
            AuthorityError, RosterError: the state folder cannot be used.
        """
        public = public_host or told_by(host)
        names = {public, *([] if is_wildcard(host) else [host])}
        with Enrolment.open(state) as enrolment:
            yield cls(enrolment=enrolment, public_host=public, names=tuple(sorted(names)))

    def server_files(self) -> TlsFiles:
        """Certificate of every listener but the broker's; asked again, a fresh one in time."""
        return self.enrolment.authority.server("server", self.names)

    def client_files(self) -> TlsFiles:
        """Certificate of the cloud as the broker's client; asked again, a fresh one in time."""
        return self.enrolment.authority.client()

    def public(self, address: Address) -> str:
        """HOST:PORT by which devices reach what this machine reaches as `address`."""
        if not is_local(address.host):
            return str(address)
        return str(Address(host=self.public_host, port=address.port))

    async def keep_broker_told(self, broker: ReadsFiles | None) -> None:
        """Tell the broker of changes in the roster, renew its certificate and ours; without end.

        Args:
            broker: the one that we started. None for another that reads the same files, and that
                whoever started it sends SIGHUP when they change.
        """
        loop = asyncio.get_running_loop()
        news = _FileChanges(
            enrolment=self.enrolment, certificate_due_s=loop.time() + _CERTIFICATE_CHECK_S
        )
        with fewer_repeats(_LOG):
            while True:
                try:
                    await asyncio.to_thread(news.write, loop.time())
                except (CloudError, OSError) as err:
                    _LOG.warning("the broker goes on with what it knows: %s", err)
                # What was written before something else went wrong is news all the same.
                if news.untold and broker is not None:
                    broker.reload()
                news.untold = False
                await asyncio.sleep(_LISTS_CHECK_S)


@dataclass(kw_only=True)
class _FileChanges:
    """What stands in the broker's files.

    Attributes:
        enrolment: that they follow from.
        certificate_due_s: when the certificate is looked at next.
        revision: of the roster, as the lists have it.
        untold: whether the broker has yet to hear of something.
    """

    enrolment: Enrolment
    certificate_due_s: float
    revision: int = -1
    untold: bool = False

    def write(self, now_s: float) -> None:
        """Write what has changed."""
        if self.enrolment.roster.revision() != self.revision:
            self.revision = self.enrolment.broker.write_lists()
            self.untold = True
        if now_s >= self.certificate_due_s:
            self.certificate_due_s = now_s + _CERTIFICATE_CHECK_S
            self.enrolment.authority.client()  # a connection reads what it finds there
            self.untold |= self.enrolment.broker.write_certificate()


def told_by(host: str) -> str:
    """How devices reach a listener, if its own host says it.

    Raises:
        ExposureError: it does not.
    """
    if is_wildcard(host):
        raise ExposureError(
            f"a listener on {host} lets other machines in: say with --public-host NAME by which "
            "name or address devices reach this one, for its certificate has to have that name"
        )
    return host


def needs_tls(*hosts: str) -> bool:
    """Whether one of these hosts can be reached from other machines."""
    return not all(is_loopback(host) for host in hosts)
