"""Who a device is to its cloud: a key that never leaves it, a certificate, and where to go.

`identity` in the state folder is a link to a folder that is written once, whole: whoever looks
finds the old identity or the new one. One generation back is kept for who is just reading it.
"""

import json
import logging
import os
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
from nestling_core.network.address import Address
from nestling_core.parsing.untrusted import parse_json
from nestling_device.errors import DeviceError
from nestling_device.storage import fsync

_log = logging.getLogger(__name__)

_LINK = "identity"


class IdentityError(DeviceError):
    """An identity that cannot be read or written."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What an identity consists of.

    Attributes:
        key: private key, PEM.
        certificate: of the device, PEM.
        authority: certificate of who signs devices and clouds, PEM.
        cloud: HOST:PORT of inference and delivery.
        broker: HOST:PORT of the broker.
    """

    key: str
    certificate: str
    authority: str
    cloud: str
    broker: str


class Identity:
    """A device's identity in its state folder; what has been renewed there is taken up."""

    def __init__(self, state_dir: Path) -> None:
        """Read it.

        Raises:
            IdentityError: it is not there, or damaged.
        """
        self._link = state_dir / _LINK
        self.state_dir = state_dir
        self._generation = ""
        self._generation = self.generation
        self._papers = _read(self._link)
        self._certificate = _check(self._papers, self._link)

    @classmethod
    def load(cls, state_dir: Path) -> Self | None:
        """Read the identity in a state folder, None if there is none.

        Raises:
            IdentityError: it is damaged.
        """
        return cls(state_dir) if (state_dir / _LINK).is_symlink() else None

    @property
    def generation(self) -> str:
        """Changes when the identity on the disk does."""
        try:
            return str(self._link.readlink())
        except OSError:  # gone
            return self._generation

    @property
    def device_id(self) -> str:
        """The device's name, as its certificate has it."""
        return _common_name(self._certificate)

    @property
    def cloud(self) -> str:
        """HOST:PORT of inference and delivery."""
        return self._papers.cloud

    @property
    def broker(self) -> str:
        """HOST:PORT of the broker."""
        return self._papers.broker

    @property
    def papers(self) -> Credentials:
        """What it consists of."""
        self._newest()
        return self._papers

    @property
    def begins(self) -> datetime:
        """When the certificate begins."""
        return self._newest().not_valid_before_utc

    @property
    def ends(self) -> datetime:
        """When the certificate ends."""
        return self._newest().not_valid_after_utc

    def is_worn(self, now: datetime) -> bool:
        """Whether less than a third of the certificate's life is left."""
        certificate = self._newest()
        born, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        return ends - now < (ends - born) / 3

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """What gRPC connects with."""
        papers = self.papers
        return grpc.ssl_channel_credentials(
            papers.authority.encode(), papers.key.encode(), papers.certificate.encode()
        )

    def ssl_context(self) -> ssl.SSLContext:
        """What other protocols connect with.

        Raises:
            OSError: its files cannot be read, or are no key and certificate.
        """
        here = self._link.resolve()
        context = ssl.create_default_context(cafile=here / "authority.pem")
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(here / "certificate.pem", here / "key.pem")
        return context

    def _newest(self) -> x509.Certificate:
        """Take up what was renewed, if it can be read; what has been read before is still good."""
        generation = self.generation
        if generation != self._generation:
            with suppress(IdentityError):
                papers = _read(self._link)
                self._certificate = _check(papers, self._link)
                self._papers, self._generation = papers, generation
        return self._certificate


def save_identity(state_dir: Path, papers: Credentials) -> Identity:
    """Write an identity in place of an earlier one: all of it or nothing.

    Raises:
        IdentityError: the folder cannot be written, or the papers do not belong together.
    """
    _check(papers, state_dir / _LINK)
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        before = _target(state_dir)
        made = state_dir / f"{_LINK}-{secrets.token_hex(8)}"
        _write_all(made, papers)
        _point(state_dir, made)
        _remove_except(state_dir, {made, before})
    except OSError as err:
        raise IdentityError(
            f"cannot write an identity into {state_dir}: {err}; see to the folder and try again"
        ) from err
    return Identity(state_dir)


def write_private(path: Path, text: str) -> None:
    """Write a new file that only its owner reads, and put it on the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def common_name(certificate: str) -> str:
    """Name in a certificate (PEM).

    Raises:
        ValueError: it is no certificate, or has not one name.
    """
    return _common_name(x509.load_pem_x509_certificate(certificate.encode()))


def _common_name(certificate: x509.Certificate) -> str:
    (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return check_device_id(str(name.value))


def _write_all(made: Path, papers: Credentials) -> None:
    made.mkdir(mode=0o700)
    write_private(made / "key.pem", papers.key)
    write_private(made / "certificate.pem", papers.certificate)
    write_private(made / "authority.pem", papers.authority)
    addresses = {"cloud": papers.cloud, "broker": papers.broker}
    write_private(made / "cloud.json", json.dumps(addresses))
    fsync.sync(made)


def _point(state_dir: Path, made: Path) -> None:
    pending = made.with_suffix(".link")
    pending.symlink_to(made.name)
    pending.replace(state_dir / _LINK)
    fsync.sync(state_dir)


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
        except OSError as err:  # it does no harm
            _log.warning("%a is left over and cannot be deleted: %s", str(path), err.strerror)


def _read(link: Path) -> Credentials:
    here = link.resolve()  # once, so that all of it is of one generation
    try:
        addresses = parse_json((here / "cloud.json").read_bytes())
        return Credentials(
            key=(here / "key.pem").read_text(),
            certificate=(here / "certificate.pem").read_text(),
            authority=(here / "authority.pem").read_text(),
            cloud=str(addresses["cloud"]),
            broker=str(addresses["broker"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise _damaged(link, err) from err


def _check(papers: Credentials, link: Path) -> x509.Certificate:
    """Check that the papers belong together."""
    try:
        certificate = x509.load_pem_x509_certificate(papers.certificate.encode())
        authority = x509.load_pem_x509_certificate(papers.authority.encode())
        key = serialization.load_pem_private_key(papers.key.encode(), password=None)
        certificate.verify_directly_issued_by(authority)
        _common_name(certificate)
        for address in (papers.cloud, papers.broker):
            Address.parse(address)
    except Exception as err:  # cryptography's errors share no base
        raise _damaged(link, err) from err
    if key.public_key() != certificate.public_key():
        raise _damaged(link, "its key is not the certificate's")
    return certificate


def _damaged(link: Path, why: object) -> IdentityError:
    return IdentityError(
        f"the identity in {link} cannot be used ({why}); enrol this device again: on the cloud, "
        "nestling-cloud device add NAME prints how"
    )


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)
