from pathlib import Path

import pytest

from nestling_cloud.bundles.repository import Repository
from nestling_cloud.console.data.released_bundle import bundle_note, desired_version
from tests.support.hand_bundle import hand_release


@pytest.mark.parametrize(
    ("running", "desired", "note"),
    [
        ("small-2", "small-2", "up to date"),
        ("small-1", "small-2", "should run small-2"),
        ("", "small-2", "should run small-2"),
        ("small-1", "", ""),
        ("", "", ""),
    ],
)
def test_bundle_note_compares_with_the_desired_bundle(
    running: str, desired: str, note: str
) -> None:
    assert bundle_note(running, desired) == note


def test_desired_version_is_the_last_release(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    assert desired_version(repository) == ""

    for release in (1, 2):
        version = hand_release(repository, release=release)

        assert desired_version(repository) == version


def test_damaged_release_has_no_desired_version(tmp_path: Path) -> None:
    (tmp_path / "desired.binpb").write_bytes(b"\xff")

    assert desired_version(Repository(tmp_path)) == ""
