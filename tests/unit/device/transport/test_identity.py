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

MakePapers = Callable[[str], Credentials]


@pytest.fixture
def papers(tmp_path: Path) -> Iterator[MakePapers]:
    with Enrolment.open(tmp_path / "cloud") as enrolment:
        yield lambda name: enrolled.papers(enrolment, name)


def test_identity_is_read_as_it_was_written(papers: MakePapers, tmp_path: Path) -> None:
    made = papers("porch")
    save_identity(tmp_path / "porch", made)

    identity = Identity.load(tmp_path / "porch")

    assert identity is not None
    assert identity.papers == made
    assert (identity.device_id, identity.cloud, identity.broker) == (
        "porch",
        made.cloud,
        made.broker,
    )


def test_there_may_be_none(tmp_path: Path) -> None:
    assert Identity.load(tmp_path) is None


def test_only_its_owner_reads_it(papers: MakePapers, tmp_path: Path) -> None:
    save_identity(tmp_path / "porch", papers("porch"))

    folder = (tmp_path / "porch" / "identity").resolve()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_another_one_is_taken_up_by_who_has_the_old_one(papers: MakePapers, tmp_path: Path) -> None:
    identity = save_identity(tmp_path / "porch", papers("porch"))
    before, generation = identity.papers, identity.generation
    for _ in range(3):
        save_identity(tmp_path / "porch", papers("porch"))

    assert identity.papers != before
    assert identity.generation != generation
    # The new one, the one before it, the link.
    assert len(list((tmp_path / "porch").iterdir())) == 3


def test_what_lies_beside_an_identity_keeps_no_other_from_being_written(
    papers: MakePapers, tmp_path: Path
) -> None:
    (tmp_path / "porch").mkdir()
    (tmp_path / "porch" / "identity-notes.txt").write_text("not a folder")

    save_identity(tmp_path / "porch", papers("porch"))

    assert Identity.load(tmp_path / "porch") is not None


def test_state_folder_is_the_device_s_own_whatever_the_umask(
    papers: MakePapers, tmp_path: Path
) -> None:
    before = os.umask(0)
    try:
        save_identity(tmp_path / "porch", papers("porch"))
    finally:
        os.umask(before)

    assert (tmp_path / "porch").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("spoil", ["removed", "damaged"])
def test_identity_in_use_outlives_its_files(papers: MakePapers, tmp_path: Path, spoil: str) -> None:
    identity = save_identity(tmp_path / "porch", papers("porch"))
    before = identity.papers
    if spoil == "removed":
        shutil.rmtree(tmp_path / "porch")
    else:
        newer = save_identity(tmp_path / "porch", papers("porch"))
        (newer._link / "key.pem").write_text("no key")

    assert identity.papers == before
    assert identity.channel_credentials() is not None


@pytest.mark.parametrize("name", ["key.pem", "certificate.pem", "authority.pem", "cloud.json"])
@pytest.mark.parametrize("content", ["", "nonsense", None])
def test_damaged_identity_is_told_in_words(
    papers: MakePapers, tmp_path: Path, name: str, content: str | None
) -> None:
    link = save_identity(tmp_path / "porch", papers("porch"))._link
    if content is None:
        (link / name).unlink()
    else:
        (link / name).write_text(content)

    with pytest.raises(IdentityError, match="enrol this device again"):
        Identity.load(tmp_path / "porch")


def test_papers_that_do_not_belong_together_are_not_written(
    papers: MakePapers, tmp_path: Path
) -> None:
    made, other = papers("porch"), papers("attic")
    for mixed in (
        dataclasses.replace(made, key=other.key),
        dataclasses.replace(made, certificate=other.certificate),
        dataclasses.replace(made, authority=made.certificate),
        dataclasses.replace(made, cloud="nowhere"),
    ):
        with pytest.raises(IdentityError):
            save_identity(tmp_path / "porch", mixed)
    assert Identity.load(tmp_path / "porch") is None


def test_folder_that_cannot_be_written_is_told_in_words(papers: MakePapers, tmp_path: Path) -> None:
    (tmp_path / "porch").write_text("a file")

    with pytest.raises(IdentityError, match="see to the folder"):
        save_identity(tmp_path / "porch", papers("porch"))


def test_identity_is_worn_in_the_last_third_of_its_life(papers: MakePapers, tmp_path: Path) -> None:
    identity = save_identity(tmp_path / "porch", papers("porch"))

    assert not identity.is_worn(identity.ends - timedelta(days=130))
    assert identity.is_worn(identity.ends - timedelta(days=110))
