"""Files that a watched folder lists and moves."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nestling_device.sources.cursor import Cursor
from nestling_device.sources.source import SourceError
from nestling_device.sources.watched_folder import WatchedFolder
from tests.support.fed_folder import FedFolder
from tests.support.source_contract import LINE, PATIENCE_S, SHAPE, window


@pytest.fixture
def fed(tmp_path: Path) -> Iterator[FedFolder]:
    fed = FedFolder(tmp_path)
    yield fed
    fed.source.close()


def test_answered_files_are_deleted_unless_kept(tmp_path: Path) -> None:
    fed = FedFolder(tmp_path, keep_answered=False)
    fed.feed(1)
    fed.answer()

    assert (fed.names(), fed.names("answered")) == (set(), set())
    fed.source.close()


def test_repeated_name_replaces_no_answered_file(fed: FedFolder) -> None:
    for number in (1, 2):
        fed.save("a.npy", window(number))
        fed.answer()

    assert fed.names("answered") == {"a.npy", "a-1.npy"}


@pytest.mark.parametrize("name", [".a.npy", "a.npy.part", "a.txt"])
def test_other_names_are_left_alone(fed: FedFolder, name: str) -> None:
    (fed.folder / name).write_bytes(b"not for us")

    assert fed.source.take(0.01) is None
    assert (fed.folder / name).exists()


@pytest.mark.parametrize(
    "name",
    [b"a\xff\xfe.npy", b"a\nb.npy", b"x" * 251 + b".npy", "å\u2028.npy".encode()],
    ids=["not UTF-8", "line break", "255 bytes", "separator"],
)
def test_file_is_answered_whatever_its_name(fed: FedFolder, name: bytes) -> None:
    def save(number: int) -> None:
        with Path(fed.folder, os.fsdecode(name)).open("wb") as file:
            np.save(file, window(number))

    save(1)
    fed.feed(2)
    both = {fed.answer(), fed.answer()}
    save(3)  # the name is taken in `answered`, and a longer one may not be

    assert both == {1, 2}
    assert fed.answer() == 3
    assert len(fed.names("answered")) == 3


@pytest.mark.parametrize("blocked", ["answered", "rejected"])
def test_files_are_answered_if_a_subfolder_cannot_be_created(tmp_path: Path, blocked: str) -> None:
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs" / blocked).write_text("in the way")
    fed = FedFolder(tmp_path)
    fed.save("a.npy", np.zeros(SHAPE, np.complex64))
    fed.save("b.npy", window(1))
    fed.save("c.npy", window(2))

    assert [fed.answer() for _ in range(2)] == [1, 2]
    assert all(fed.source.take(0.01) is None for _ in range(3))
    fed.source.close()


def test_removed_subfolder_is_created_again(fed: FedFolder) -> None:
    (fed.folder / "answered").rmdir()
    fed.feed(1)
    fed.answer()

    assert fed.names("answered") == {"001.npy"}


def test_file_removed_while_it_is_answered_is_no_error(
    fed: FedFolder, caplog: pytest.LogCaptureFixture
) -> None:
    fed.feed(1)
    assert fed.source.take(PATIENCE_S) is not None
    (fed.folder / "001.npy").unlink()
    fed.source.settle(LINE)

    assert fed.source.take(0.01) is None
    assert "disappeared" in caplog.text


def test_folder_may_disappear_and_return(fed: FedFolder) -> None:
    fed.folder.rename(fed.folder.with_name("gone"))
    assert fed.source.take(0.01) is None
    fed.folder.with_name("gone").rename(fed.folder)
    fed.feed(1)

    assert fed.answer() == 1


def test_missing_folder_is_rejected(tmp_path: Path) -> None:
    cursor = Cursor(tmp_path / "state")
    with pytest.raises(SourceError, match="may move files"):
        WatchedFolder(tmp_path / "none", SHAPE, cursor=cursor, written=lambda: 0)
    cursor.close()
