from datetime import UTC, datetime, timedelta

from cryptography import x509

from nestling_cloud.fleet.certificates import make_authority
from nestling_cloud.fleet.revocation_list import revocation_list

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AUTHORITY = make_authority(NOW)


def test_revocation_list_date_rises_with_every_revision_and_is_in_the_past() -> None:
    serial = 4711
    lists = [
        x509.load_pem_x509_crl(revocation_list(AUTHORITY, [(serial, NOW)][:count], revision))
        for count, revision in ((0, 7), (1, 8))
    ]

    assert [found.get_revoked_certificate_by_serial_number(serial) is None for found in lists] == [
        True,
        False,
    ]
    before, after = (found.last_update_utc for found in lists)
    assert after - before == timedelta(seconds=1)
    assert after < NOW
    key = AUTHORITY.key.public_key()
    assert all(found.is_signature_valid(key) for found in lists)
