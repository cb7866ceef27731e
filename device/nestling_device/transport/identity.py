"""Reads and writes a device's identity.

An identity consists of a private key that never leaves the device, certificates, and the cloud's
addresses. It is stored in a folder, to which the link `identity` in the state folder points. This
folder is written completely before the link points to it, so a reader finds either the old identity
or the new one. The previous folder is kept for processes that are still reading it.
"""

import json
import logging
import secrets
import shutil
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from nestling.topics import check_device_id
from nestling_core.file_sync import sync_folder
from nestling_core.network.address import Address
from nestling_core.parsing.untrusted_data import parse_json
from nestling_device.errors import DeviceError
from nestling_device.storage.atomic_file import write_private

_log = logging.getLogger(__name__)

_LINK = "identity"


class IdentityError(DeviceError):
    """Raised when an identity cannot be read or written."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """The parts of an identity.

    Attributes:
        key: the private key, PEM.
        certificate: the device's certificate, PEM.
        authority: the certificate of the authority that signs the certificates of devices and
            clouds, PEM.
        cloud: the address of the cloud's inference and delivery services, as HOST:PORT.
        broker: the address of the broker, as HOST:PORT.
    """

    key: str
    certificate: str
    authority: str
    cloud: str
    broker: str


class Identity:
    """A device's identity in its state folder.

    A renewed identity in the folder is loaded the next time the credentials or the validity of the
    certificate are read.

    Attributes:
        state_dir: the state folder.
    """

    def __init__(self, state_dir: Path) -> None:
        """Read the identity in a state folder.

        Raises:
            IdentityError: the identity is missing or damaged.
        """
        self._link = state_dir / _LINK
        self.state_dir = state_dir
        self._generation = ""
        self._generation = self.generation
        self._credentials = _read(self._link)
        self._certificate = _check(self._credentials, self._link)

    @classmethod
    def load(cls, state_dir: Path) -> Self | None:
        """Return the identity in a state folder, or None if there is none.

        Raises:
            IdentityError: the identity is damaged.
        """
        return cls(state_dir) if (state_dir / _LINK).is_symlink() else None

    @property
    def generation(self) -> str:
        """A name that changes whenever the identity on the disk is replaced."""
        try:
            return str(self._link.readlink())
        except OSError:  # the link is gone
            return self._generation

    @property
    def device_id(self) -> str:
        """The device's id, which its certificate names."""
        return _common_name(self._certificate)

    @property
    def cloud(self) -> str:
        """The address of the cloud's inference and delivery services, as HOST:PORT."""
        return self._credentials.cloud

    @property
    def broker(self) -> str:
        """The address of the broker, as HOST:PORT."""
        return self._credentials.broker

    @property
    def credentials(self) -> Credentials:
        """The newest credentials."""
        self._newest()
        return self._credentials

    @property
    def begins(self) -> datetime:
        """The time from which the certificate is valid."""
        return self._newest().not_valid_before_utc

    @property
    def ends(self) -> datetime:
        """The time at which the certificate expires."""
        return self._newest().not_valid_after_utc

    def needs_renewal(self, now: datetime) -> bool:
        """Return whether less than a third of the certificate's lifetime is left.

        Args:
            now: the current time, with a time zone.
        """
        certificate = self._newest()
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        return ends - now < (ends - begins) / 3

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Return the credentials for a gRPC channel."""
        newest = self.credentials
        return grpc.ssl_channel_credentials(
            newest.authority.encode(), newest.key.encode(), newest.certificate.encode()
        )

    def ssl_context(self) -> ssl.SSLContext:
        """Return a TLS context for protocols other than gRPC.

        Raises:
            OSError: the files cannot be read, or are not a key and a certificate.
        """
        folder = self._link.resolve()
        context = ssl.create_default_context(cafile=folder / "authority.pem")
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
        return context

    def _newest(self) -> x509.Certificate:
        """Return the certificate, after loading a renewed identity if there is one.

        The current identity stays if the renewed one cannot be read.
        """
        generation = self.generation
        if generation != self._generation:
            with suppress(IdentityError):
                credentials = _read(self._link)
                self._certificate = _check(credentials, self._link)
                self._credentials, self._generation = credentials, generation
        return self._certificate


def save_identity(state_dir: Path, credentials: Credentials) -> Identity:
    """Write an identity into a state folder, and return the identity.

    The previous identity is replaced atomically. Its folder is kept, and the folders of older
    identities are deleted.

    Args:
        state_dir: the device's state folder.
        credentials: the parts of the identity.

    Raises:
        IdentityError: the folder cannot be written, or the credentials do not belong together.
    """
    _check(credentials, state_dir / _LINK)
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        before = _target(state_dir)
        folder = state_dir / f"{_LINK}-{secrets.token_hex(8)}"
        _write_all(folder, credentials)
        _point(state_dir, folder)
        _remove_except(state_dir, {folder, before})
    except OSError as err:
        raise IdentityError(
            f"cannot write an identity into {state_dir}: {err}",
            advice="make the folder writable and try again",
        ) from err
    return Identity(state_dir)


def common_name(certificate: str) -> str:
    """Return the common name in a certificate (PEM).

    Raises:
        ValueError: the text is not a certificate, or the certificate does not have exactly one
            common name that is a valid device id.
    """
    return _common_name(x509.load_pem_x509_certificate(certificate.encode()))


def _common_name(certificate: x509.Certificate) -> str:
    (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return check_device_id(str(name.value))


def _write_all(folder: Path, credentials: Credentials) -> None:
    folder.mkdir(mode=0o700)
    write_private(folder / "key.pem", credentials.key)
    write_private(folder / "certificate.pem", credentials.certificate)
    write_private(folder / "authority.pem", credentials.authority)
    addresses = {"cloud": credentials.cloud, "broker": credentials.broker}
    write_private(folder / "cloud.json", json.dumps(addresses))
    sync_folder(folder)


def _point(state_dir: Path, folder: Path) -> None:
    pending = folder.with_suffix(".link")
    pending.symlink_to(folder.name)
    pending.replace(state_dir / _LINK)
    sync_folder(state_dir)


def _target(state_dir: Path) -> Path | None:
    link = state_dir / _LINK
    return state_dir / link.readlink() if link.is_symlink() else None


def _remove_except(state_dir: Path, keep: set[Path | None]) -> None:
    for path in state_dir.glob(f"{_LINK}-*"):
        try:
            if path.is_symlink() or not path.is_dir():
                path.unlink(missing_ok=True)
            elif path not in keep:
                shutil.rmtree(path)
        except OSError as err:  # a leftover folder does no harm
            _log.warning(
                "%a is no longer in use but cannot be deleted: %s", str(path), err.strerror
            )


def _read(link: Path) -> Credentials:
    folder = link.resolve()  # only once, so that all files are of one generation
    try:
        addresses = parse_json((folder / "cloud.json").read_bytes())
        return Credentials(
            key=(folder / "key.pem").read_text(),
            certificate=(folder / "certificate.pem").read_text(),
            authority=(folder / "authority.pem").read_text(),
            cloud=str(addresses["cloud"]),
            broker=str(addresses["broker"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise _damaged(link, err) from err


def _check(credentials: Credentials, link: Path) -> x509.Certificate:
    """Return the certificate, or raise IdentityError if the parts do not belong together.

    Key, certificate and authority have to match, and both addresses have to be valid.
    """
    try:
        certificate = x509.load_pem_x509_certificate(credentials.certificate.encode())
        authority = x509.load_pem_x509_certificate(credentials.authority.encode())
        key = serialization.load_pem_private_key(credentials.key.encode(), password=None)
        certificate.verify_directly_issued_by(authority)
        _common_name(certificate)
        for address in (credentials.cloud, credentials.broker):
            Address.parse(address)
    except Exception as err:  # cryptography's errors share no base
        raise _damaged(link, err) from err
    if key.public_key() != certificate.public_key():
        raise _damaged(link, "the key does not match the certificate")
    return certificate


def _damaged(link: Path, why: object) -> IdentityError:
    return IdentityError(
        f"the identity in {link} cannot be used ({why})",
        advice="enrol this device again: run "
        "nestling-cloud device add NAME on the cloud, which prints how",
    )


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)
