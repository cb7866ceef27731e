import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nestling_cloud.whole_file import write_new, write_whole


def test_file_is_replaced_and_private(tmp_path: Path) -> None:
    path = tmp_path / "made" / "file"
    write_whole(path, b"old")
    write_whole(path, b"new")

    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_of_many_who_write_a_new_file_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "file"

    with ThreadPoolExecutor(8) as pool:
        ours = list(pool.map(lambda number: write_new(path, bytes([number])), range(32)))

    assert path.read_bytes() == bytes([ours.index(True)])
    assert ours.count(True) == 1
    assert list(tmp_path.iterdir()) == [path]
