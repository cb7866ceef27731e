import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from nestling_cloud.fleet.authority import Authority, AuthorityError
from nestling_cloud.fleet.certificates import Pair, hosts_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def at(days: int) -> Callable[[], datetime]:
    return lambda: NOW + timedelta(days=days)


def held(path: Path) -> x509.Certificate:
    return Pair.from_pem(path.read_bytes()).certificate


def test_authority_is_created_once_with_a_private_file(tmp_path: Path) -> None:
    first = Authority.open(tmp_path / "authority", at(0))
    second = Authority.open(tmp_path / "authority", at(5))

    assert first.certificate_der == second.certificate_der
    assert len(first.certificate_der) < 450  # tokens contain it
    (path,) = (tmp_path / "authority").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_damaged_authority_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "authority.pem"
    Authority.open(tmp_path)
    path.write_bytes(path.read_bytes()[:100])

    with pytest.raises(AuthorityError, match="restore a copy"):
        Authority.open(tmp_path)


def test_listener_keeps_its_certificate_until_renewal_is_due(tmp_path: Path) -> None:
    files = Authority.open(tmp_path, at(0)).server("server", ["cloud.lan"])
    first = held(files.certificate)

    Authority.open(tmp_path, at(240)).server("server", ["cloud.lan"])
    assert held(files.certificate) == first
    Authority.open(tmp_path, at(250)).server("server", ["cloud.lan"])
    assert held(files.certificate).not_valid_after_utc == NOW + timedelta(days=250 + 365)


def test_listener_gets_a_new_certificate_when_its_hosts_change(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path)
    files = authority.server("server", ["cloud.lan"])
    authority.server("server", ["cloud.lan", "fe80::1"])

    always = {"localhost", "127.0.0.1", "::1"}
    assert hosts_of(held(files.certificate)) == {"cloud.lan", "fe80::1", *always}


@pytest.mark.parametrize("fault", ["missing", "damaged", "another authority's"])
def test_unusable_listener_certificate_is_replaced(tmp_path: Path, fault: str) -> None:
    authority = Authority.open(tmp_path / "one")
    files = authority.server("server", ["cloud.lan"])
    before = held(files.certificate)
    if fault == "missing":
        files.certificate.unlink()
    elif fault == "damaged":
        files.certificate.write_bytes(b"-----BEGIN")
    else:
        other = Authority.open(tmp_path / "other").server("server", ["cloud.lan"])
        files.certificate.write_bytes(other.certificate.read_bytes())

    authority.server("server", ["cloud.lan"])

    assert held(files.certificate) != before
    held(files.certificate).verify_directly_issued_by(
        x509.load_pem_x509_certificate(files.authority.read_bytes())
    )


def test_client_certificate_has_the_clouds_name(tmp_path: Path) -> None:
    files = Authority.open(tmp_path).client()

    assert held(files.certificate).subject.rfc4514_string() == "CN=nestling-cloud"
    assert files.client_context().get_ca_certs()


def test_certificate_made_while_the_clock_was_ahead_is_renewed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Authority.open(tmp_path, at(0))
    files = Authority.open(tmp_path, at(400)).server("server", ["cloud.lan"])

    Authority.open(tmp_path, at(1)).server("server", ["cloud.lan"])

    assert held(files.certificate).not_valid_before_utc == NOW
    assert "clock says 2026-01-02, and the old one was made on 2027-02-05" in caplog.text


def test_due_renewal_does_not_warn_about_the_clock(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Authority.open(tmp_path, at(0)).client()
    Authority.open(tmp_path, at(300)).client()

    assert caplog.text == ""


@pytest.mark.parametrize(
    ("days", "message"),
    [(-400, "was made on 2026-01-01"), (21 * 365, "expired on 2045-12-27")],
)
def test_authority_that_is_not_valid_now_signs_nothing(
    tmp_path: Path, days: int, message: str
) -> None:
    Authority.open(tmp_path, at(0))
    authority = Authority.open(tmp_path, at(days))

    with pytest.raises(AuthorityError, match=f"{message}.*set the clock"):
        authority.server("server", ["cloud.lan"])
    with pytest.raises(AuthorityError, match="set the clock"):
        authority.client()
    assert [path.name for path in tmp_path.iterdir()] == ["authority.pem"]
