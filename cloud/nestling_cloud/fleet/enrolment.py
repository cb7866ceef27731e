"""Invites, enrols, renews and removes the fleet's devices."""

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
    """A fleet's authority and roster, and the broker's files that are made from them.

    Attributes:
        authority: signs certificates.
        roster: knows tokens and certificates.
        broker: the broker's files.
    """

    authority: Authority
    roster: Roster
    broker: BrokerFolder

    @classmethod
    @contextlib.contextmanager
    def open(cls, state: Path) -> Iterator[Self]:
        """Open the authority and the roster in a cloud's state folder; create them if missing.

        Args:
            state: the cloud's state folder.

        Raises:
            AuthorityError, RosterError: the folder cannot be used.
        """
        _check_owner(state)
        authority = Authority.open(state / "authority")
        with Roster(state / "authority" / "devices.sqlite") as roster:
            broker = BrokerFolder(folder=state / "broker", authority=authority, roster=roster)
            yield cls(authority=authority, roster=roster, broker=broker)

    def invite(self, name: str, life: timedelta = TOKEN_LIFE) -> EnrolmentToken:
        """Make an enrolment token for a device; it replaces an earlier one.

        Args:
            name: the device's name.
            life: how long the token is valid.

        Raises:
            RosterError: the name is not allowed.
            AuthorityError: the authority's certificate is not valid now, see
                `Authority.check_clock`.
        """
        self.authority.check_clock()
        return EnrolmentToken(
            device_id=name,
            secret=self.roster.invite(name, life),
            authority=self.authority.certificate_der,
        )

    def enrol(self, secret: bytes, request: str) -> tuple[str, str]:
        """Exchange a one-time token for a certificate.

        Args:
            secret: the token's secret.
            request: the device's signing request, in PEM.

        Returns:
            The device's name, and its certificate in PEM.

        Raises:
            CertificateError: the request is not valid.
            EnrolmentTokenError: the token is unknown, used or expired.
        """
        checked = read_request(request)
        name, certificate = self.roster.redeem(secret, checked, self.authority.sign)
        return name, to_pem(certificate).decode()

    def renew(self, name: str, request: str) -> str:
        """Sign another certificate for a device; the present one stays valid.

        Args:
            name: the device's name.
            request: its signing request, in PEM.

        Returns:
            The certificate in PEM.

        Raises:
            CertificateError: the request is not valid.
        """
        checked = read_request(request)
        return to_pem(self.roster.renew(name, checked, self.authority.sign)).decode()

    def remove(self, name: str) -> None:
        """Remove a device: revoke its certificates and delete its token.

        Raises:
            RosterError: there is no such device.
        """
        self.roster.remove(name)
        self.broker.write_lists()


def _check_owner(state: Path) -> None:
    """Refuse to run as root in another user's folder, who could not read what root writes."""
    if os.geteuid() != 0 or not state.exists():
        return
    owner = state.stat().st_uid
    if owner != 0:
        raise AuthorityError(
            f"{state} belongs to user {_user(owner)}, who could not read what root writes there: "
            f"run this command as that user (sudo -u {_user(owner)} ...)"
        )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"#{number}"
