"""How a device gets into the fleet, stays in it, and is put out."""

import contextlib
import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Self

from nestling_cloud.fleet.authority import Authority, AuthorityError
from nestling_cloud.fleet.broker_config import BrokerFolder
from nestling_cloud.fleet.certificates import read_request, to_pem
from nestling_cloud.fleet.roster import Roster
from nestling_core.enrolment_token import EnrolmentToken

TOKEN_LIFE = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class Enrolment:
    """A fleet's authority, its roster, and what its broker is told of both."""

    authority: Authority
    roster: Roster
    broker: BrokerFolder

    @classmethod
    @contextlib.contextmanager
    def open(cls, state: Path) -> Iterator[Self]:
        """Open what lies in a cloud's state folder, or make it.

        Raises:
            AuthorityError, RosterError: it cannot be used.
        """
        _check_owner(state)
        authority = Authority.open(state / "authority")
        with Roster(state / "authority" / "devices.sqlite") as roster:
            broker = BrokerFolder(folder=state / "broker", authority=authority, roster=roster)
            yield cls(authority=authority, roster=roster, broker=broker)

    def invite(self, name: str, life: timedelta = TOKEN_LIFE) -> EnrolmentToken:
        """Make a token for a device, in place of an earlier one.

        Raises:
            RosterError: the name will not do.
            AuthorityError: no device would trust what the token guarantees, see
                `Authority.check_clock`.
        """
        self.authority.check_clock()
        return EnrolmentToken(
            device_id=name,
            secret=self.roster.invite(name, life),
            authority=self.authority.certificate_der,
        )

    def enrol(self, secret: bytes, request: str) -> tuple[str, str]:
        """Take a token's secret and a signing request (PEM) for a certificate.

        Returns:
            The device's name, and its certificate (PEM).

        Raises:
            CertificateError: the request will not do.
            EnrolmentTokenError: the token will not do.
        """
        checked = read_request(request)
        name, certificate = self.roster.redeem(secret, checked, self.authority.sign)
        return name, to_pem(certificate).decode()

    def renew(self, name: str, request: str) -> str:
        """Give a device a certificate (PEM) beside the one that it has.

        Raises:
            CertificateError: the request will not do.
        """
        checked = read_request(request)
        return to_pem(self.roster.renew(name, checked, self.authority.sign)).decode()

    def remove(self, name: str) -> None:
        """Put a device out: its certificates and its token are good no more.

        Raises:
            RosterError: there is no such device.
        """
        self.roster.remove(name)
        self.broker.write_lists()


def _check_owner(state: Path) -> None:
    """Refuse to work as root in a service's folder: it could not read what root writes there."""
    if os.geteuid() != 0 or not state.exists():
        return
    owner = state.stat().st_uid
    if owner != 0:
        raise AuthorityError(
            f"{state} belongs to user {_user(owner)}, who could not read what root writes there: "
            f"run this as that user (sudo -u {_user(owner)} ...)"
        )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"#{number}"
