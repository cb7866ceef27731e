import ipaddress
from datetime import UTC, datetime, timedelta
from typing import cast

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


def test_listener_is_verified_by_its_names_within_its_life() -> None:
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


def test_certificate_of_a_device_has_the_name_that_we_give_and_signs_nothing() -> None:
    request = read_request(signing_request(P256, name="nestling-cloud"))

    certificate = certificates.sign_client(AUTHORITY, "porch", request, NOW)

    assert certificate.subject.rfc4514_string() == "CN=porch"
    assert certificate.public_key() == P256.public_key()
    assert usages(certificate) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca) == (True, False)
    certificate.verify_directly_issued_by(AUTHORITY.certificate)


def test_serial_numbers_are_all_different() -> None:
    made = [certificates.make_client(AUTHORITY, "porch", NOW).certificate for _ in range(20)]

    assert len({certificate.serial_number for certificate in made}) == 20


def test_nothing_outlives_the_authority() -> None:
    late = AUTHORITY.certificate.not_valid_after_utc - timedelta(days=3)
    made = certificates.make_client(AUTHORITY, "porch", late).certificate

    assert made.not_valid_after_utc == AUTHORITY.certificate.not_valid_after_utc


def test_certificate_is_worn_in_the_last_third_of_its_life() -> None:
    certificate = certificates.make_client(AUTHORITY, "porch", NOW).certificate

    assert not certificates.is_worn(certificate, NOW + timedelta(days=240))
    assert certificates.is_worn(certificate, NOW + timedelta(days=250))


def test_pair_is_read_as_it_was_written() -> None:
    pair = Pair.from_pem(AUTHORITY.to_pem())

    assert pair.certificate == AUTHORITY.certificate
    assert pair.key.private_numbers() == AUTHORITY.key.private_numbers()


def test_key_with_anothers_certificate_is_no_pair() -> None:
    other = certificates.make_authority(NOW)
    mixed = Pair(key=other.key, certificate=AUTHORITY.certificate).to_pem()

    with pytest.raises(CertificateError, match="not the certificate's"):
        Pair.from_pem(mixed)


@pytest.mark.parametrize("text", [b"", b"nonsense", AUTHORITY.to_pem()[:200]])
def test_half_a_pair_is_none(text: bytes) -> None:
    with pytest.raises(CertificateError):
        Pair.from_pem(text)


@pytest.mark.parametrize("key", [P256, rsa.generate_private_key(65537, 2048)])
def test_sound_request_is_read(key: Key) -> None:
    assert read_request(signing_request(key)).public_key() == key.public_key()


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65537, 1024),  # noqa: S505  that is the point
        ed25519.Ed25519PrivateKey.generate(),
    ],
)
def test_request_for_another_kind_of_key_is_refused(key: Key) -> None:
    with pytest.raises(CertificateError, match="P-256, or RSA"):
        read_request(signing_request(key))


def test_request_that_its_key_did_not_sign_is_refused() -> None:
    lines = signing_request(P256).splitlines()
    other = signing_request(ec.generate_private_key(ec.SECP256R1())).splitlines()
    # The signature is at the end.
    spoilt = "\n".join([*lines[:-3], *other[-3:]])

    with pytest.raises(CertificateError):
        read_request(spoilt)


@pytest.mark.parametrize("text", ["", "-----BEGIN", "\udcff", "x" * 100_000])
def test_something_else_is_no_request(text: str) -> None:
    with pytest.raises(CertificateError):
        read_request(text)


@pytest.mark.parametrize(
    "host", ["", "a b", "-a", "*.lan", "a..b", "host:8500", "ä.lan", "a" * 300]
)
def test_listener_is_not_made_for_what_is_no_host(host: str) -> None:
    with pytest.raises(CertificateError, match="is no host"):
        certificates.make_server(AUTHORITY, "server", [host], NOW)


def test_revocations_have_a_date_that_rises_with_every_revision_and_is_past() -> None:
    serial = 4711
    lists = [
        x509.load_pem_x509_crl(
            certificates.revocation_list(AUTHORITY, [(serial, NOW)][:count], revision)
        )
        for count, revision in ((0, 7), (1, 8))
    ]

    assert [found.get_revoked_certificate_by_serial_number(serial) is None for found in lists] == [
        True,
        False,
    ]
    before, after = (found.last_update_utc for found in lists)
    assert after - before == timedelta(seconds=1)
    assert after < NOW
    key = AUTHORITY.certificate.public_key()
    assert all(found.is_signature_valid(cast("ec.EllipticCurvePublicKey", key)) for found in lists)
