"""Manages the folder of the fleet's certificate authority and the cloud's own certificates."""

import logging
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from nestling import topics
from nestling_cloud.atomic_file import write_new, write_whole
from nestling_cloud.errors import CloudError
from nestling_cloud.fleet import certificates
from nestling_cloud.fleet.certificates import CertificateError, Pair
from nestling_cloud.fleet.tls import TlsFiles

# The cloud's name as a client of its broker; no device may have it.
CLOUD_NAME = topics.HOST_ID
_ALWAYS = ("localhost", "127.0.0.1", "::1")

_LOG = logging.getLogger(__name__)


class AuthorityError(CloudError):
    """The authority cannot be read, its folder cannot be used, or its certificate is not valid."""


def utc_now() -> datetime:
    """Return the current time in whole seconds, the resolution of certificates."""
    return datetime.now(UTC).replace(microsecond=0)


class Authority:
    """Signs certificates for devices, for listeners, and for the cloud as its broker's client.

    Its files have mode 0600: `authority.pem` (key and certificate; whoever has a copy of it can
    enrol devices), a pair for each listener, and `ca.pem` (the certificate alone).
    """

    def __init__(self, folder: Path, pair: Pair, now: Callable[[], datetime] = utc_now) -> None:
        """Make an authority from its parts; see `open`.

        Args:
            folder: holds the authority's files.
            pair: the authority's key and certificate.
            now: returns the current time.
        """
        self._folder = folder
        self._pair = pair
        self._now = now

    @classmethod
    def open(cls, folder: Path, now: Callable[[], datetime] = utc_now) -> Self:
        """Open the authority in a folder, or create one if there is none.

        Args:
            folder: holds the authority's files.
            now: returns the current time.

        Raises:
            AuthorityError: its file cannot be read or written.
        """
        path = folder / "authority.pem"
        try:
            if not path.exists():
                write_new(path, certificates.make_authority(now()).to_pem())
            pair = Pair.from_pem(path.read_bytes())
        except (OSError, CertificateError) as err:
            raise AuthorityError(
                f"cannot use {path}: {err}; restore a copy of it, or name another state folder, "
                "with which every device has to enrol again"
            ) from err
        return cls(folder, pair, now)

    @property
    def certificate_der(self) -> bytes:
        """The authority's certificate in DER, by which devices trust this cloud."""
        return self._pair.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def certificate_pem(self) -> str:
        """The authority's certificate in PEM."""
        return certificates.to_pem(self._pair.certificate).decode()

    def check_clock(self) -> None:
        """Check that the authority's certificate is valid now.

        Raises:
            AuthorityError: by this machine's clock, it is not valid yet or has expired.
        """
        now, certificate = self._now(), self._pair.certificate
        path = self._folder / "authority.pem"
        if now < certificate.not_valid_before_utc:
            raise AuthorityError(
                f"this machine's clock says {_day(now)}, but {path} was made on "
                f"{_day(certificates.made_at(certificate))}, so no device would trust it: set the "
                "clock. If that day is wrong, name another state folder, with which every device "
                "has to enrol again"
            )
        if now > certificate.not_valid_after_utc:
            raise AuthorityError(
                f"this machine's clock says {_day(now)}, and {path} expired on "
                f"{_day(certificate.not_valid_after_utc)}: if the clock is right, name another "
                "state folder, with which every device has to enrol again; otherwise set the clock"
            )

    def sign(self, device: str, request: x509.CertificateSigningRequest) -> x509.Certificate:
        """Sign a device's key.

        Args:
            device: name that the certificate gets.
            request: signing request from `certificates.read_request`.

        Raises:
            AuthorityError: the authority's certificate is not valid now, see `check_clock`.
        """
        self.check_clock()
        return certificates.sign_client(self._pair, device, request, self._now())

    def revocation_list(self, revoked: Iterable[tuple[int, datetime]], revision: int) -> bytes:
        """Make the PEM revocation list; see `certificates.revocation_list`.

        Args:
            revoked: serial number and time of revocation of each certificate.
            revision: rises by at least 1 with every change.
        """
        return certificates.revocation_list(self._pair, revoked, revision)

    def server(self, name: str, hosts: Collection[str], *, folder: Path | None = None) -> TlsFiles:
        """Return a listener's files; create or renew them when due or when the hosts change.

        Args:
            name: name of the listener and of its file.
            hosts: names and addresses that clients reach it by, besides localhost.
            folder: folder of the files; None for the authority's own.

        Raises:
            CertificateError: one of the hosts is neither a name nor an address.
            AuthorityError: the folder cannot be written, or the authority's certificate is not
                valid now, see `check_clock`.
        """
        every = sorted({*_ALWAYS, *hosts})
        return self._files(
            (folder or self._folder) / f"{name}.pem",
            lambda found: certificates.hosts_of(found) == set(every),
            lambda now: certificates.make_server(self._pair, name, every, now),
        )

    def client(self) -> TlsFiles:
        """Return the files of the cloud as its broker's client; create or renew them when due.

        Raises:
            AuthorityError: the folder cannot be written, or the authority's certificate is not
                valid now, see `check_clock`.
        """
        return self._files(
            self._folder / "client.pem",
            lambda _: True,
            lambda now: certificates.make_client(self._pair, CLOUD_NAME, now),
        )

    def _files(
        self,
        path: Path,
        fits: Callable[[x509.Certificate], bool],
        make: Callable[[datetime], Pair],
    ) -> TlsFiles:
        self.check_clock()
        found, now = self._held(path), self._now()
        authority, ours = path.parent / "ca.pem", self.certificate_pem.encode()
        try:
            if found is None or not fits(found) or certificates.needs_renewal(found, now):
                write_whole(path, make(now).to_pem())
                if found is not None and now < found.not_valid_before_utc:
                    _LOG.warning("%s", _clock_warning(path, found, now))
            if not authority.exists() or authority.read_bytes() != ours:
                write_whole(authority, ours)
        except OSError as err:
            raise AuthorityError(
                f"cannot write {path}: {err}; check the folder's permissions and free space"
            ) from err
        return TlsFiles(certificate=path, key=path, authority=authority)

    def _held(self, path: Path) -> x509.Certificate | None:
        """Return the certificate in a file, or None if this authority did not sign it."""
        try:
            found = Pair.from_pem(path.read_bytes()).certificate
            found.verify_directly_issued_by(self._pair.certificate)
        except Exception:  # noqa: BLE001  missing, damaged, or of another authority: replace it
            return None
        return found


def _clock_warning(path: Path, found: x509.Certificate, now: datetime) -> str:
    return (
        f"renewing {path}: this machine's clock says {_day(now)}, and the old one was made on "
        f"{_day(certificates.made_at(found))}. If the clock is wrong, set it: certificates that "
        "devices got since then are refused until the clock has passed the day they were made"
    )


def _day(time: datetime) -> str:
    return f"{time:%Y-%m-%d}"
