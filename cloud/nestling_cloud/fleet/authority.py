"""Manages the fleet's certificate authority and the cloud's own certificates."""

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
from nestling_cloud.fleet.revocation_list import revocation_list
from nestling_cloud.fleet.tls import TlsFiles

# The cloud's name as a client of its broker; no device may have it.
CLOUD_NAME = topics.HOST_ID
_ALWAYS = ("localhost", "127.0.0.1", "::1")

_LOG = logging.getLogger(__name__)


class AuthorityError(CloudError):
    """Raised when the authority's files cannot be used, or its certificate is not valid now."""


def utc_now() -> datetime:
    """Return the current time in whole seconds, which is the resolution of certificates."""
    return datetime.now(UTC).replace(microsecond=0)


class Authority:
    """Signs certificates for devices, for listeners, and for the cloud as a client of its broker.

    Its files have mode 0600. `authority.pem` holds the authority's key and certificate, so anyone
    who has a copy of this file can enrol devices. `ca.pem` holds only the certificate. Each
    listener has a file with its own key and certificate, and so has the cloud as a client.
    """

    def __init__(self, folder: Path, pair: Pair, now: Callable[[], datetime] = utc_now) -> None:
        """Create an authority from its parts, which `open` reads from a folder.

        Args:
            folder: the folder with the authority's files.
            pair: the authority's key and certificate.
            now: a function that returns the current time.
        """
        self._folder = folder
        self._pair = pair
        self._now = now

    @classmethod
    def open(cls, folder: Path, now: Callable[[], datetime] = utc_now) -> Self:
        """Return the authority in a folder, and create it if the folder has none.

        Args:
            folder: the folder with the authority's files.
            now: a function that returns the current time.

        Raises:
            AuthorityError: the authority's file cannot be read or written, or is damaged.
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
        """The authority's certificate in DER, which devices need in order to trust this cloud."""
        return self._pair.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def certificate_pem(self) -> str:
        """The authority's certificate in PEM."""
        return certificates.to_pem(self._pair.certificate).decode()

    def check_clock(self) -> None:
        """Raise AuthorityError if the authority's certificate is not valid now.

        Raises:
            AuthorityError: by this machine's clock, the authority's certificate is not valid yet
                or has expired.
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
        """Return a signed certificate for a device's key.

        Args:
            device: the name of the device, which becomes the certificate's common name.
            request: the signing request, as returned by `certificates.read_request`.

        Raises:
            AuthorityError: the authority's certificate is not valid now, see `check_clock`.
            CertificateError: the type of the key in the request is not accepted.
        """
        self.check_clock()
        return certificates.sign_client(self._pair, device, request, self._now())

    def revocation_list(self, revoked: Iterable[tuple[int, datetime]], revision: int) -> bytes:
        """Return the list of revoked certificates in PEM, see `fleet.revocation_list`.

        Args:
            revoked: the serial number and the time of revocation of each certificate.
            revision: the number of the list, which rises by at least 1 with every change.
        """
        return revocation_list(self._pair, revoked, revision)

    def server(self, name: str, hosts: Collection[str], *, folder: Path | None = None) -> TlsFiles:
        """Return the paths of a listener's TLS files.

        The files are created if they are missing. The certificate is renewed if it is due, or if
        the hosts have changed.

        Args:
            name: the name of the listener and of its file.
            hosts: the names and addresses by which clients reach the listener. The certificate
                always includes localhost, 127.0.0.1 and ::1 too.
            folder: the folder of the files; None for the authority's own folder.

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
        """Return the paths of the TLS files with which the cloud connects to its broker.

        The files are created if they are missing. The certificate is renewed if it is due.

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
        """Return the certificate in a file if this authority has signed it.

        The result is None if the file is missing or damaged, or if another authority has signed the
        certificate.
        """
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
