import dataclasses
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from nestling_cloud.fleet.enrolment import Enrolment
from nestling_device.transport.identity import Credentials, Identity, IdentityError, save_identity
from tests.support import enrolled

MakeCredentials = Callable[[str], Credentials]


@pytest.fixture
def issue(tmp_path: Path) -> Iterator[MakeCredentials]:
    with Enrolment.open(tmp_path / "cloud") as enrolment:
        yield lambda name: enrolled.papers(enrolment, name)


def test_saved_identity_is_loaded_unchanged(issue: MakeCredentials, tmp_path: Path) -> None:
    credentials = issue("porch")
    save_identity(tmp_path / "porch", credentials)

    identity = Identity.load(tmp_path / "porch")

    assert identity is not None
    assert identity.credentials == credentials
    assert (identity.device_id, identity.cloud, identity.broker) == (
        "porch",
        credentials.cloud,
        credentials.broker,
    )


def test_folder_without_an_identity_loads_none(tmp_path: Path) -> None:
    assert Identity.load(tmp_path) is None


def test_only_the_owner_can_read_an_identity(issue: MakeCredentials, tmp_path: Path) -> None:
    save_identity(tmp_path / "porch", issue("porch"))

    folder = (tmp_path / "porch" / "identity").resolve()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_loaded_identity_follows_a_renewal_and_one_old_folder_is_kept(
    issue: MakeCredentials, tmp_path: Path
) -> None:
    identity = save_identity(tmp_path / "porch", issue("porch"))
    before, generation = identity.credentials, identity.generation
    for _ in range(3):
        save_identity(tmp_path / "porch", issue("porch"))

    assert identity.credentials != before
    assert identity.generation != generation
    # The new folder, the previous one, and the link.
    assert len(list((tmp_path / "porch").iterdir())) == 3


def test_other_files_in_the_folder_do_not_prevent_a_new_identity(
    issue: MakeCredentials, tmp_path: Path
) -> None:
    (tmp_path / "porch").mkdir()
    (tmp_path / "porch" / "identity-notes.txt").write_text("not a folder")

    save_identity(tmp_path / "porch", issue("porch"))

    assert Identity.load(tmp_path / "porch") is not None


def test_state_folder_is_private_whatever_the_umask(issue: MakeCredentials, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        save_identity(tmp_path / "porch", issue("porch"))
    finally:
        os.umask(before)

    assert (tmp_path / "porch").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", ["removed", "damaged"])
def test_loaded_identity_survives_lost_or_damaged_files(
    issue: MakeCredentials, tmp_path: Path, damage: str
) -> None:
    identity = save_identity(tmp_path / "porch", issue("porch"))
    before = identity.credentials
    if damage == "removed":
        shutil.rmtree(tmp_path / "porch")
    else:
        newer = save_identity(tmp_path / "porch", issue("porch"))
        (newer._link / "key.pem").write_text("no key")

    assert identity.credentials == before
    assert identity.channel_credentials() is not None


@pytest.mark.parametrize("name", ["key.pem", "certificate.pem", "authority.pem", "cloud.json"])
@pytest.mark.parametrize("content", ["", "nonsense", None])
def test_damaged_identity_is_reported_with_advice(
    issue: MakeCredentials, tmp_path: Path, name: str, content: str | None
) -> None:
    link = save_identity(tmp_path / "porch", issue("porch"))._link
    if content is None:
        (link / name).unlink()
    else:
        (link / name).write_text(content)

    with pytest.raises(IdentityError, match="enrol this device again"):
        Identity.load(tmp_path / "porch")


def test_mismatched_credentials_are_not_written(issue: MakeCredentials, tmp_path: Path) -> None:
    credentials, other = issue("porch"), issue("attic")
    for mixed in (
        dataclasses.replace(credentials, key=other.key),
        dataclasses.replace(credentials, certificate=other.certificate),
        dataclasses.replace(credentials, authority=credentials.certificate),
        dataclasses.replace(credentials, cloud="nowhere"),
    ):
        with pytest.raises(IdentityError):
            save_identity(tmp_path / "porch", mixed)
    assert Identity.load(tmp_path / "porch") is None


def test_unwritable_folder_is_reported_with_advice(issue: MakeCredentials, tmp_path: Path) -> None:
    (tmp_path / "porch").write_text("a file")

    with pytest.raises(IdentityError, match="make the folder writable"):
        save_identity(tmp_path / "porch", issue("porch"))


def test_identity_needs_renewal_in_the_last_third_of_its_life(
    issue: MakeCredentials, tmp_path: Path
) -> None:
    identity = save_identity(tmp_path / "porch", issue("porch"))

    assert not identity.needs_renewal(identity.ends - timedelta(days=130))
    assert identity.needs_renewal(identity.ends - timedelta(days=110))
