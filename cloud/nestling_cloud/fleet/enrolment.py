"""Invites devices to the fleet, issues and renews their certificates, and removes devices."""

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
    """Manages which devices belong to a fleet.

    Attributes:
        authority: the authority, which signs certificates.
        roster: the roster, which records the tokens and certificates of the devices.
        broker: the writer of the broker's files, which depend on the authority and the roster.
    """

    authority: Authority
    roster: Roster
    broker: BrokerFolder

    @classmethod
    @contextlib.contextmanager
    def open(cls, state: Path) -> Iterator[Self]:
        """Open the enrolment in a cloud's state folder, and close it at the end of the block.

        The authority and the roster are created if they are missing.

        Args:
            state: the cloud's state folder.

        Raises:
            AuthorityError: the authority cannot be read or written, or this process runs as root
                in another user's folder.
            RosterError: the roster cannot be opened.
        """
        _check_owner(state)
        authority = Authority.open(state / "authority")
        with Roster(state / "authority" / "devices.sqlite") as roster:
            broker = BrokerFolder(folder=state / "broker", authority=authority, roster=roster)
            yield cls(authority=authority, roster=roster, broker=broker)

    def invite(self, name: str, life: timedelta = TOKEN_LIFE) -> EnrolmentToken:
        """Return a new enrolment token for a device, which replaces any earlier token.

        Args:
            name: the device's name.
            life: the time for which the token is valid.

        Raises:
            RosterError: the name is not allowed, or the roster cannot be used.
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
        """Return a certificate in exchange for the secret of a one-time token.

        The device's earlier certificates are revoked. A device that did not receive the answer may
        repeat the request with the same key.

        Args:
            secret: the token's secret.
            request: the device's signing request in PEM.

        Returns:
            The device's name, and the device's certificate in PEM.

        Raises:
            CertificateError: the request is not valid.
            EnrolmentTokenError: the token is unknown or expired, or was used with another key.
            AuthorityError: the authority's certificate is not valid now, see
                `Authority.check_clock`.
            RosterError: the roster cannot be used.
        """
        checked = read_request(request)
        name, certificate = self.roster.redeem(secret, checked, self.authority.sign)
        return name, to_pem(certificate).decode()

    def renew(self, name: str, request: str) -> str:
        """Return another certificate for a device.

        The device's current certificate stays valid.

        Args:
            name: the device's name.
            request: the device's signing request in PEM.

        Returns:
            The certificate in PEM.

        Raises:
            CertificateError: the request is not valid.
            AuthorityError: the authority's certificate is not valid now, see
                `Authority.check_clock`.
            RosterError: the roster cannot be used.
        """
        checked = read_request(request)
        return to_pem(self.roster.renew(name, checked, self.authority.sign)).decode()

    def remove(self, name: str) -> None:
        """Remove a device from the fleet.

        The device's certificates are revoked, the device's token is deleted, and the broker's lists
        are written again.

        Args:
            name: the device's name.

        Raises:
            RosterError: there is no such device, or the roster cannot be used.
            OSError: the broker's lists cannot be written; the device is removed nevertheless.
        """
        self.roster.remove(name)
        self.broker.write_lists()


def _check_owner(state: Path) -> None:
    """Raise AuthorityError if this process runs as root in another user's folder.

    That user could not read the files that root writes.
    """
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
