import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from nestling_cloud.fleet import certificates
from nestling_cloud.fleet.certificates import CertificateError, Pair, read_request
from tests.support.enrolled import Key, signing_request

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AUTHORITY = certificates.make_authority(NOW)
P256 = ec.generate_private_key(ec.SECP256R1())


def usages(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def verifier(at: datetime) -> PolicyBuilder:
    return PolicyBuilder().store(Store([AUTHORITY.certificate])).time(at)


def test_listener_certificate_verifies_for_its_names_while_valid() -> None:
    made = certificates.make_server(AUTHORITY, "server", ["cloud.lan", "10.0.0.7", "::1"], NOW)
    certificate = made.certificate

    for name in (
        x509.DNSName("cloud.lan"),
        x509.IPAddress(ipaddress.ip_address("10.0.0.7")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ):
        for day in (0, 364):
            policy = verifier(NOW + timedelta(days=day)).build_server_verifier(name)
            assert policy.verify(certificate, []) == [certificate, AUTHORITY.certificate]
    for day, name in ((366, x509.DNSName("cloud.lan")), (0, x509.DNSName("other.lan"))):
        policy = verifier(NOW + timedelta(days=day)).build_server_verifier(name)
        with pytest.raises(VerificationError):
            policy.verify(certificate, [])
    assert usages(certificate) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert certificates.hosts_of(certificate) == {"cloud.lan", "10.0.0.7", "::1"}


def test_device_certificate_has_the_given_name_and_cannot_sign() -> None:
    request = read_request(signing_request(P256, name="nestling-cloud"))

    certificate = certificates.sign_client(AUTHORITY, "porch", request, NOW)

    assert certificate.subject.rfc4514_string() == "CN=porch"
    assert certificate.public_key() == P256.public_key()
    assert usages(certificate) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca) == (True, False)
    certificate.verify_directly_issued_by(AUTHORITY.certificate)


def test_serial_numbers_are_unique() -> None:
    made = [certificates.make_client(AUTHORITY, "porch", NOW).certificate for _ in range(20)]

    assert len({certificate.serial_number for certificate in made}) == 20


def test_no_certificate_outlives_the_authority() -> None:
    late = AUTHORITY.certificate.not_valid_after_utc - timedelta(days=3)
    made = certificates.make_client(AUTHORITY, "porch", late).certificate

    assert made.not_valid_after_utc == AUTHORITY.certificate.not_valid_after_utc


def test_certificate_needs_renewal_in_the_last_third_of_its_life() -> None:
    certificate = certificates.make_client(AUTHORITY, "porch", NOW).certificate

    assert not certificates.needs_renewal(certificate, NOW + timedelta(days=240))
    assert certificates.needs_renewal(certificate, NOW + timedelta(days=250))


def test_pair_survives_writing_and_reading() -> None:
    pair = Pair.from_pem(AUTHORITY.to_pem())

    assert pair.certificate == AUTHORITY.certificate
    assert pair.key.private_numbers() == AUTHORITY.key.private_numbers()


def test_key_with_another_keys_certificate_is_rejected() -> None:
    other = certificates.make_authority(NOW)
    mixed = Pair(key=other.key, certificate=AUTHORITY.certificate).to_pem()

    with pytest.raises(CertificateError, match="does not belong to the certificate"):
        Pair.from_pem(mixed)


@pytest.mark.parametrize("text", [b"", b"nonsense", AUTHORITY.to_pem()[:200]])
def test_incomplete_pair_is_rejected(text: bytes) -> None:
    with pytest.raises(CertificateError):
        Pair.from_pem(text)


@pytest.mark.parametrize("key", [P256, rsa.generate_private_key(65537, 2048)])
def test_valid_request_is_read(key: Key) -> None:
    assert read_request(signing_request(key)).public_key() == key.public_key()


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65537, 1024),  # noqa: S505  a weak key is what is tested
        ed25519.Ed25519PrivateKey.generate(),
    ],
)
def test_request_with_another_kind_of_key_is_rejected(key: Key) -> None:
    with pytest.raises(CertificateError, match="P-256, or RSA"):
        read_request(signing_request(key))


def test_request_not_signed_by_its_own_key_is_rejected() -> None:
    lines = signing_request(P256).splitlines()
    other = signing_request(ec.generate_private_key(ec.SECP256R1())).splitlines()
    # The signature is at the end.
    mixed = "\n".join([*lines[:-3], *other[-3:]])

    with pytest.raises(CertificateError):
        read_request(mixed)


@pytest.mark.parametrize("text", ["", "-----BEGIN", "\udcff", "x" * 100_000])
def test_malformed_request_is_rejected(text: str) -> None:
    with pytest.raises(CertificateError):
        read_request(text)


@pytest.mark.parametrize(
    "host", ["", "a b", "-a", "*.lan", "a..b", "host:8500", "ä.lan", "a" * 300]
)
def test_invalid_host_is_rejected(host: str) -> None:
    with pytest.raises(CertificateError, match="is no host"):
        certificates.make_server(AUTHORITY, "server", [host], NOW)
