"""Keeps the fleet's enrolment tokens and certificates in one SQLite file.

The command `serve` shares the file with the commands that run beside it. Whenever a device gains or
loses access, the file's revision is increased, so that other processes notice the change.
"""

import hashlib
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from nestling import topics
from nestling_cloud.errors import CloudError
from nestling_cloud.fleet.authority import CLOUD_NAME, utc_now
from nestling_cloud.fleet.member import Member, member
from nestling_cloud.fleet.roster_database import RosterDatabase, RosterError
from nestling_core.closing import Closing
from nestling_core.enrolment_token import SECRET_BYTES

Sign = Callable[[str, x509.CertificateSigningRequest], x509.Certificate]


class EnrolmentTokenError(CloudError):
    """Raised when an enrolment token is unknown, used or expired."""


@dataclass(frozen=True, kw_only=True)
class RevokedCertificates:
    """The revoked certificates of a fleet.

    Attributes:
        revision: the revision of the roster that lists them.
        certificates: the serial number and the time of revocation of each revoked certificate.
        names: the names of the devices whose certificates are all revoked.
    """

    revision: int
    certificates: list[tuple[int, datetime]]
    names: list[str]


class Roster(Closing):
    """Keeps the enrolment tokens and certificates of a fleet's devices.

    Several threads and processes may use one roster at once. Every method that reads or writes the
    roster raises RosterError if the roster's file cannot be used.
    """

    def __init__(self, path: Path, now: Callable[[], datetime] = utc_now) -> None:
        """Open a roster, and create it if there is none.

        Args:
            path: the path of the roster's SQLite file.
            now: a function that returns the current time.

        Raises:
            RosterError: the file cannot be opened, or another version of the program wrote it.
        """
        self._database = RosterDatabase(path)
        self._now = now

    def close(self) -> None:
        """Close the roster's file."""
        self._database.close()

    def invite(self, name: str, life: timedelta) -> bytes:
        """Return a new secret with which a device can enrol once.

        The secret replaces any earlier secret of the device.

        Args:
            name: the device's name.
            life: the time for which the secret is valid.

        Raises:
            RosterError: the name is not allowed in a topic or is the cloud's own name, or the
                roster cannot be used.
        """
        try:
            topics.check_device_id(name)
        except ValueError as err:
            raise RosterError(str(err)) from err
        if name == CLOUD_NAME:
            raise RosterError(f"{name!r} is the cloud's own name; choose another")
        secret, expires = secrets.token_bytes(SECRET_BYTES), self._now() + life
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT OR REPLACE INTO tokens VALUES (?, ?, ?, NULL)",
                (name, _digest(secret), _seconds(expires)),
            )
        return secret

    def redeem(
        self, secret: bytes, request: x509.CertificateSigningRequest, sign: Sign
    ) -> tuple[str, x509.Certificate]:
        """Return a certificate in exchange for a one-time secret.

        The device's earlier certificates are revoked. A device that did not receive the answer may
        repeat the request with the same key.

        Args:
            secret: the token's secret.
            request: the signing request with the device's key.
            sign: a function that returns a certificate for the device's name and the request.

        Returns:
            The device's name, and the device's certificate.

        Raises:
            EnrolmentTokenError: the secret is unknown, has expired, or was used with another key.
            RosterError: the roster cannot be used.
            Exception: `sign` raised this error. Nothing has changed then.
        """
        key = _key_digest(request)
        with self._database.transaction() as cursor:
            row = cursor.execute(
                "SELECT name, expires, used_by FROM tokens WHERE secret = ?", (_digest(secret),)
            ).fetchone()
            if row is None:
                raise EnrolmentTokenError(
                    "this token is unknown here, or was replaced by a newer one"
                )
            name, expires, used_by = row
            if used_by not in {None, key}:
                raise EnrolmentTokenError("this token has been used")
            if expires <= _seconds(self._now()):
                raise EnrolmentTokenError(
                    f"this token expired at {_time(expires):%Y-%m-%d %H:%M} UTC"
                )
            cursor.execute("UPDATE tokens SET used_by = ? WHERE name = ?", (key, name))
            self._revoke(cursor, name)
            certificate = sign(name, request)
            self._enter(cursor, name, certificate)
        return name, certificate

    def renew(
        self, name: str, request: x509.CertificateSigningRequest, sign: Sign
    ) -> x509.Certificate:
        """Return another certificate for a device.

        The current certificate stays valid, in case the device does not receive the new one.

        Args:
            name: the device's name.
            request: the signing request with the device's key.
            sign: a function that returns a certificate for the device's name and the request.
        """
        with self._database.transaction() as cursor:
            certificate = sign(name, request)
            self._enter(cursor, name, certificate)
        return certificate

    def remove(self, name: str) -> None:
        """Revoke a device's certificates and delete its token.

        Raises:
            RosterError: there is no such device, or the roster cannot be used.
        """
        with self._database.transaction() as cursor:
            tokens = cursor.execute("DELETE FROM tokens WHERE name = ?", (name,)).rowcount
            if self._revoke(cursor, name) + tokens == 0:
                raise RosterError(
                    f"no device {name!r} is invited or enrolled; see nestling-cloud device list"
                )
            _count_up(cursor)

    def name_of(self, serial: int) -> str | None:
        """Return the name of the device to which a certificate belongs.

        Args:
            serial: the serial number of the certificate.

        Returns:
            The name, or None if the certificate is unknown, revoked or expired.
        """
        with self._database.reading() as cursor:
            row = cursor.execute(
                "SELECT name FROM certificates "
                "WHERE serial = ? AND revoked IS NULL AND expires > ?",
                (f"{serial:x}", _seconds(self._now())),
            ).fetchone()
        return None if row is None else str(row[0])

    def members(self) -> list[Member]:
        """Return every device on the roster, sorted by name."""
        with self._database.reading() as cursor:
            invitations = dict(
                cursor.execute("SELECT name, expires FROM tokens WHERE used_by IS NULL").fetchall()
            )
            certified = {
                name: (good, revoked)
                for name, good, revoked in cursor.execute(
                    "SELECT name, max(CASE WHEN revoked IS NULL THEN expires END), max(revoked) "
                    "FROM certificates GROUP BY name"
                )
            }
        now = _seconds(self._now())
        with self._database.sound_rows():
            return [
                member(name, invitations.get(name), *certified.get(name, (None, None)), now=now)
                for name in sorted({*invitations, *certified})
            ]

    def revision(self) -> int:
        """Return the revision, which rises whenever a device gains or loses access."""
        with self._database.reading() as cursor, self._database.sound_rows():
            return _revision(cursor)

    @contextmanager
    def locked(self) -> Iterator[RevokedCertificates]:
        """Yield the revoked certificates, and prevent changes to the roster during the block.

        A file that is written in the block can therefore never replace one that another process has
        made from a later revision of the roster.
        """
        with self._database.transaction() as cursor:
            with self._database.sound_rows():
                refused = _refused(cursor)
            yield refused

    def _enter(self, cursor: sqlite3.Cursor, name: str, certificate: x509.Certificate) -> None:
        cursor.execute(
            "INSERT INTO certificates VALUES (?, ?, ?, NULL)",
            (
                f"{certificate.serial_number:x}",
                name,
                _seconds(certificate.not_valid_after_utc),
            ),
        )
        _count_up(cursor)

    def _revoke(self, cursor: sqlite3.Cursor, name: str) -> int:
        return cursor.execute(
            "UPDATE certificates SET revoked = ? WHERE name = ? AND revoked IS NULL",
            (_seconds(self._now()), name),
        ).rowcount


def _refused(cursor: sqlite3.Cursor) -> RevokedCertificates:
    revoked = cursor.execute(
        "SELECT serial, revoked FROM certificates WHERE revoked IS NOT NULL ORDER BY serial"
    ).fetchall()
    names = cursor.execute(
        "SELECT name FROM certificates GROUP BY name HAVING count(*) = count(revoked) ORDER BY name"
    ).fetchall()
    return RevokedCertificates(
        revision=_revision(cursor),
        certificates=[(int(serial, 16), _time(at)) for serial, at in revoked],
        names=[name for (name,) in names],
    )


def _revision(cursor: sqlite3.Cursor) -> int:
    (number,) = cursor.execute("SELECT number FROM revision").fetchone()
    return int(number)


def _count_up(cursor: sqlite3.Cursor) -> None:
    cursor.execute("UPDATE revision SET number = number + 1")


def _digest(secret: bytes) -> bytes:
    # A secret has 256 random bits, so a plain hash cannot be reversed by guessing.
    return hashlib.sha256(secret).digest()


def _key_digest(request: x509.CertificateSigningRequest) -> bytes:
    key = request.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(key).digest()


def _seconds(time: datetime) -> int:
    return int(time.timestamp())


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
