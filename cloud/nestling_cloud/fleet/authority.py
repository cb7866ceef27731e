"""The folder of a fleet's certificate authority, and of what it signed for the cloud itself."""

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

# How a broker knows the cloud from the devices; no device may have it.
CLOUD_NAME = topics.HOST_ID
_ALWAYS = ("localhost", "127.0.0.1", "::1")

_LOG = logging.getLogger(__name__)


class AuthorityError(CloudError):
    """An authority that cannot be read, or whose folder cannot be used."""


def utc_now() -> datetime:
    """The time, to the second, as certificates have it."""
    return datetime.now(UTC).replace(microsecond=0)


class Authority:
    """Signs devices, listeners, and the cloud as its broker's client.

    Everything lies in files of mode 0600: `authority.pem` (key and certificate: who has a copy of
    it can make devices), a pair for each listener, and `ca.pem` (the certificate alone).
    """

    def __init__(self, folder: Path, pair: Pair, now: Callable[[], datetime] = utc_now) -> None:
        """See `open`; `now` tells the time."""
        self._folder = folder
        self._pair = pair
        self._now = now

    @classmethod
    def open(cls, folder: Path, now: Callable[[], datetime] = utc_now) -> Self:
        """Open an authority, or make one where there is none yet.

        Raises:
            AuthorityError: what is there cannot be read.
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
        """What a device has to know to trust this cloud."""
        return self._pair.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def certificate_pem(self) -> str:
        """The same, as text."""
        return certificates.to_pem(self._pair.certificate).decode()

    def check_clock(self) -> None:
        """Check that the clock is within the life of this authority's certificate.

        Raises:
            AuthorityError: the certificate is not valid yet, or has expired.
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
        """Sign a device's key; see `certificates.read_request`.

        Raises:
            AuthorityError: nobody would trust it, see `check_clock`.
        """
        self.check_clock()
        return certificates.sign_client(self._pair, device, request, self._now())

    def revocation_list(self, revoked: Iterable[tuple[int, datetime]], revision: int) -> bytes:
        """PEM of the certificates that are good no more; see `certificates.revocation_list`."""
        return certificates.revocation_list(self._pair, revoked, revision)

    def server(self, name: str, hosts: Collection[str], *, folder: Path | None = None) -> TlsFiles:
        """Return a listener's files, making or renewing them when they wear out or hosts change.

        Args:
            name: which listener; the file is named by it.
            hosts: what clients reach it by, besides this machine's own names for itself.
            folder: where they lie; None for the authority's own.

        Raises:
            CertificateError: one of the hosts is neither a name nor an address.
            AuthorityError: the folder cannot be written, or see `check_clock`.
        """
        every = sorted({*_ALWAYS, *hosts})
        return self._files(
            (folder or self._folder) / f"{name}.pem",
            lambda found: certificates.hosts_of(found) == set(every),
            lambda now: certificates.make_server(self._pair, name, every, now),
        )

    def client(self) -> TlsFiles:
        """Return the files of the cloud as its broker's client, making or renewing them.

        Raises:
            AuthorityError: the folder cannot be written, or see `check_clock`.
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
            if found is None or not fits(found) or certificates.is_worn(found, now):
                write_whole(path, make(now).to_pem())
                if found is not None and now < found.not_valid_before_utc:
                    _LOG.warning("%s", _made_later(path, found, now))
            if not authority.exists() or authority.read_bytes() != ours:
                write_whole(authority, ours)
        except OSError as err:
            raise AuthorityError(f"cannot write {path}: {err}; see to the folder") from err
        return TlsFiles(certificate=path, key=path, authority=authority)

    def _held(self, path: Path) -> x509.Certificate | None:
        """Certificate in a file, None if it has none that this authority signed."""
        try:
            found = Pair.from_pem(path.read_bytes()).certificate
            found.verify_directly_issued_by(self._pair.certificate)
        except Exception:  # noqa: BLE001  missing, damaged, another's: a new one replaces it
            return None
        return found


def _made_later(path: Path, found: x509.Certificate, now: datetime) -> str:
    return (
        f"renewing {path}: this machine's clock says {_day(now)}, and the old one was made on "
        f"{_day(certificates.made_at(found))}. If the clock is wrong, set it: certificates that "
        "devices got since then are refused until the clock has passed the day they were made"
    )


def _day(time: datetime) -> str:
    return f"{time:%Y-%m-%d}"
