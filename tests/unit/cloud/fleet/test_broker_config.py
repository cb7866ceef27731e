import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from nestling_cloud.fleet.authority import AuthorityError
from nestling_cloud.fleet.broker_config import access_list, configuration
from nestling_cloud.fleet.enrolment import Enrolment
from tests.support import enrolled


@pytest.fixture
def enrolment(tmp_path: Path) -> Iterator[Enrolment]:
    with Enrolment.open(tmp_path) as opened:
        yield opened


def revoked(enrolment: Enrolment) -> set[int]:
    found = x509.load_pem_x509_crl((enrolment.broker.folder / "revoked.pem").read_bytes())
    return {entry.serial_number for entry in found}


def test_broker_requires_certificates_and_takes_names_from_them() -> None:
    lines = configuration(Path("/state/broker"), "0.0.0.0", 8883, root=False).splitlines()  # noqa: S104

    assert lines[0] == "listener 8883"  # IPv4 and IPv6, as for gRPC
    assert sum(line.startswith("listener ") for line in lines) == 1
    for line in (
        "allow_anonymous false",
        "require_certificate true",
        "use_identity_as_username true",
        "acl_file /state/broker/acl",
        "cafile /state/broker/ca.pem",
        "crlfile /state/broker/revoked.pem",
    ):
        assert line in lines
    assert "user root" not in lines


def test_access_list_allows_a_device_its_own_topics_only() -> None:
    lines = access_list([]).splitlines()

    rights = {tuple(line.split()[1:]) for line in lines if line.startswith("pattern")}
    assert rights == {
        ("write", "spBv1.0/nestling/NBIRTH/%u"),
        ("write", "spBv1.0/nestling/NDATA/%u"),
        ("write", "spBv1.0/nestling/NDEATH/%u"),
        ("write", "nestling/v1/%u/delivery/request"),
        ("read", "spBv1.0/nestling/NCMD/%u"),
        ("read", "nestling/v1/%u/delivery/response"),
        ("read", "spBv1.0/STATE/nestling-cloud"),
    }
    assert [line for line in lines if line.startswith("user")] == ["user nestling-cloud"]


def test_access_list_denies_everything_to_removed_devices() -> None:
    assert "user porch\ntopic deny #\n" in access_list(["attic", "porch"])


def test_folder_holds_every_file_of_the_broker_but_no_key_of_the_authority(
    enrolment: Enrolment,
) -> None:
    enrolment.broker.write("127.0.0.1", 8883, ["cloud.lan"])

    folder = enrolment.broker.folder
    named = {
        Path(line.split()[1])
        for line in enrolment.broker.configuration.read_text().splitlines()
        if line.startswith(("cafile", "certfile", "keyfile", "crlfile", "acl_file"))
    }
    assert {path.name for path in folder.iterdir()} == {
        "mosquitto.conf",
        *(path.name for path in named),
    }
    assert {path.parent for path in named} == {folder}
    secret = (folder.parent / "authority" / "authority.pem").read_text().splitlines()[1]
    assert not any(secret in path.read_text() for path in folder.iterdir())


def test_removed_device_is_denied_until_it_enrols_again(enrolment: Enrolment) -> None:
    old = enrolled.serial_of(enrolled.papers(enrolment, "porch"))
    enrolment.remove("porch")
    assert revoked(enrolment) == {old}
    assert "user porch" in (enrolment.broker.folder / "acl").read_text()

    enrolled.papers(enrolment, "porch")
    enrolment.broker.write_lists()

    assert revoked(enrolment) == {old}
    assert "user porch" not in (enrolment.broker.folder / "acl").read_text()


def test_broker_certificate_is_rewritten_for_other_names_only(enrolment: Enrolment) -> None:
    assert not enrolment.broker.write_certificate()  # there is none to renew
    made = [enrolment.broker.write_certificate([name]) for name in ("a.lan", "a.lan", "b.lan")]

    assert made == [True, False, True]
    assert not enrolment.broker.write_certificate()


def test_root_does_not_write_into_another_users_folder(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, 65534, 65534)

    with pytest.raises(AuthorityError, match="sudo -u nobody"), Enrolment.open(state):
        pass
    assert list(state.iterdir()) == []
