"""Creates and checks the fleet's X.509 certificates.

The functions do no I/O and get the time as an argument.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nestling_cloud.errors import CloudError

# Devices renew when a third of it is left, so a device may be off for that long.
LIFE = timedelta(days=365)
_AUTHORITY_LIFE = timedelta(days=20 * 365)
# Tolerance for devices whose clocks are behind ours.
_BACKDATED = timedelta(days=1)
_RSA_BITS = range(2048, 4097)
_MAX_REQUEST_BYTES = 16 * 1024
_HOST = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9][A-Za-z0-9-]{0,62})*"
)


class CertificateError(CloudError):
    """Raised when a key, a host name or a signing request cannot be used for a certificate."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A private key and its certificate.

    Attributes:
        key: the private key, on curve P-256.
        certificate: the certificate of the key.
    """

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def to_pem(self) -> bytes:
        """Return the key and the certificate as one PEM text, so that one file can hold both."""
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ) + to_pem(self.certificate)

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Return the key and the certificate in a PEM text that `to_pem` wrote.

        Raises:
            CertificateError: the text has no elliptic-curve key with a certificate for that key.
        """
        try:
            key = serialization.load_pem_private_key(pem, password=None)
            certificate = x509.load_pem_x509_certificate(pem)
        except (ValueError, TypeError, UnsupportedAlgorithm) as err:
            raise CertificateError(f"no private key with its certificate: {err}") from err
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise CertificateError("the private key is not an elliptic-curve key")
        if key.public_key() != certificate.public_key():
            raise CertificateError("the private key does not belong to the certificate")
        return cls(key=key, certificate=certificate)

    def issuer_identifier(self) -> x509.AuthorityKeyIdentifier:
        """Return the X.509 extension that names this pair as the issuer of what it signs."""
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())


def to_pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate in PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def make_authority(now: datetime) -> Pair:
    """Return the key and certificate of a new authority.

    The authority may sign certificates of clients and servers, but not of other authorities. Its
    key is on curve P-256, so that its certificate is small enough for an enrolment token.

    Args:
        now: the current time; the certificate's validity begins one day earlier.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    name = _name(f"Nestling authority {serial % 16**8:08x}")
    public = key.public_key()
    usage = _usage(key_cert_sign=True, crl_sign=True)
    certificate = (
        x509.CertificateBuilder(name, name, public, serial)
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(key=key, certificate=certificate)


def make_server(authority: Pair, name: str, hosts: Sequence[str], now: datetime) -> Pair:
    """Return a new key and certificate for a listener.

    Args:
        authority: the authority that signs the certificate.
        name: the certificate's common name, which is only for people to read.
        hosts: the names and addresses by which clients reach the listener.
        now: the current time; the certificate's validity begins one day earlier.

    Raises:
        CertificateError: one of the hosts is neither a name nor an address.
    """
    alternatives = x509.SubjectAlternativeName([_host(host) for host in hosts])
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _leaf(authority, name, key.public_key(), ExtendedKeyUsageOID.SERVER_AUTH, now)
    builder = builder.add_extension(alternatives, critical=False)
    return Pair(key=key, certificate=builder.sign(authority.key, hashes.SHA256()))


def make_client(authority: Pair, name: str, now: datetime) -> Pair:
    """Return a new key and certificate for a client.

    Args:
        authority: the authority that signs the certificate.
        name: the certificate's common name, by which servers identify the client.
        now: the current time; the certificate's validity begins one day earlier.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _leaf(authority, name, key.public_key(), ExtendedKeyUsageOID.CLIENT_AUTH, now)
    return Pair(key=key, certificate=builder.sign(authority.key, hashes.SHA256()))


def sign_client(
    authority: Pair, name: str, request: x509.CertificateSigningRequest, now: datetime
) -> x509.Certificate:
    """Return a certificate for the key in a client's signing request.

    The certificate gets the given name. The name in the request is ignored.

    Args:
        authority: the authority that signs the certificate.
        name: the certificate's common name.
        request: the signing request with the client's public key.
        now: the current time; the certificate's validity begins one day earlier.

    Raises:
        CertificateError: the type of the key is not accepted.
    """
    builder = _leaf(authority, name, _public_key(request), ExtendedKeyUsageOID.CLIENT_AUTH, now)
    return builder.sign(authority.key, hashes.SHA256())


def read_request(pem: str) -> x509.CertificateSigningRequest:
    """Return the signing request in a PEM text, after checking its key and signature.

    Args:
        pem: the request in PEM.

    Raises:
        CertificateError: the text is not a signing request or is too long, the type of the
            request's key is not accepted, or the request is not signed by its own key.
    """
    data = pem.encode(errors="replace")
    if len(data) > _MAX_REQUEST_BYTES:
        raise CertificateError(f"a signing request has at most {_MAX_REQUEST_BYTES} bytes")
    try:
        request = x509.load_pem_x509_csr(data)
        valid = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm) as err:
        raise CertificateError(f"not a signing request in PEM: {err}") from err
    _public_key(request)
    if not valid:
        raise CertificateError("the signing request is not signed by its own key")
    return request


def hosts_of(certificate: x509.Certificate) -> set[str]:
    """Return the names and addresses in a listener's certificate."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = names.get_values_for_type(x509.IPAddress)
    return {*names.get_values_for_type(x509.DNSName), *map(str, addresses)}


def needs_renewal(certificate: x509.Certificate, now: datetime) -> bool:
    """Return whether a certificate is due for renewal.

    A certificate is due when less than a third of its validity period is left. It is also due if
    the period has not begun, because the certificate was then made while the clock was ahead.

    Args:
        certificate: a certificate that this module created.
        now: the current time.
    """
    born, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now < born or ends - now < (ends - born) / 3


def made_at(certificate: x509.Certificate) -> datetime:
    """Return the time at which a certificate was made, according to the clock at that time."""
    return certificate.not_valid_before_utc + _BACKDATED


def _leaf(
    authority: Pair,
    name: str,
    public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    purpose: x509.ObjectIdentifier,
    now: datetime,
) -> x509.CertificateBuilder:
    ends = min(now + LIFE, authority.certificate.not_valid_after_utc)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(authority.certificate.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(authority.issuer_identifier(), critical=False)
    )


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    if not _HOST.fullmatch(host):
        raise CertificateError(
            f"{host!r} is no host: use a name such as cloud.example.org, or an IP address"
        )
    return x509.DNSName(host)


def _public_key(
    request: x509.CertificateSigningRequest,
) -> ec.EllipticCurvePublicKey | rsa.RSAPublicKey:
    try:
        key = request.public_key()
    except (ValueError, UnsupportedAlgorithm) as err:
        raise CertificateError(f"the request's key cannot be read: {err}") from err
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size in _RSA_BITS:
        return key
    raise CertificateError("send a key on curve P-256, or RSA with 2048 to 4096 bits")
