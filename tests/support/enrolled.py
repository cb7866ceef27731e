"""Enrols devices with a secure cloud, through the commands that users run."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from nestling_cloud.fleet.enrolment import Enrolment
from nestling_device.transport.identity import Credentials
from tests.support.processes import DEADLINE_S

Key: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
TLS = ("--tls", "--enrolment-port", "0")


@dataclass(frozen=True, kw_only=True)
class CommandResult:
    """Exit status and output of a command."""

    status: int
    stdout: str
    stderr: str


def run(package: str, *arguments: str, stdin: str = "") -> CommandResult:
    """Run `nestling-cloud` or `nestling-device` to its end.

    Args:
        package: "cloud" or "device".
        arguments: arguments of the command.
        stdin: text for its standard input.
    """
    command = [sys.executable, "-P", "-m", f"nestling_{package}.cli", *arguments]
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    return CommandResult(status=done.returncode, stdout=done.stdout, stderr=done.stderr)


def add(state: Path, name: str, *arguments: str) -> str:
    """Add a device with `nestling-cloud device add` and return its token."""
    ended = run("cloud", "device", "add", name, "--state", str(state), "--json", *arguments)
    assert ended.status == 0, ended.stderr
    token: str = json.loads(ended.stdout)["token"]
    return token


def remove(state: Path, name: str) -> None:
    """Remove a device with `nestling-cloud device remove`."""
    ended = run("cloud", "device", "remove", name, "--state", str(state))
    assert ended.status == 0, ended.stderr


def enrol(address: str, token: str, folder: Path) -> CommandResult:
    """Enrol a device with `nestling-device enrol`.

    Args:
        address: enrolment address of the cloud.
        token: one-time token.
        folder: state folder of the device.
    """
    return run(
        "device", "enrol", "--cloud", address, "--token-file", "-", "--state", str(folder),
        stdin=token,
    )  # fmt: skip


def signing_request(key: Key, name: str = "me") -> str:
    """Return a certificate signing request as PEM text."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    request = x509.CertificateSigningRequestBuilder(subject).sign(key, digest)
    return request.public_bytes(serialization.Encoding.PEM).decode()


def pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Return a key as PEM text."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def papers(enrolment: Enrolment, name: str, *, broker: str = "127.0.0.1:1") -> Credentials:
    """Enrol a device without a network, and return its credentials.

    Args:
        enrolment: enrolment of the cloud.
        name: name of the device.
        broker: broker address to put into the credentials.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    _, certificate = enrolment.enrol(enrolment.invite(name).secret, signing_request(key))
    return Credentials(
        key=pem(key),
        certificate=certificate,
        authority=enrolment.authority.certificate_pem,
        cloud="127.0.0.1:1",
        broker=broker,
    )


def serial_of(identity: Credentials) -> int:
    """Return the serial number of a device's certificate."""
    return x509.load_pem_x509_certificate(identity.certificate.encode()).serial_number
