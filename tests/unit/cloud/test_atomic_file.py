import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nestling_cloud.atomic_file import SHARED, write_new, write_whole
from nestling_cloud.console.auth.password import PasswordFile
from nestling_cloud.console.auth.tokens import TokenFile


def test_write_whole_replaces_the_file_and_keeps_it_private(tmp_path: Path) -> None:
    path = tmp_path / "made" / "file"
    write_whole(path, b"old")
    write_whole(path, b"new")

    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_failed_write_keeps_the_old_file_and_leaves_no_other(
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


def test_concurrent_write_new_lets_one_writer_win(tmp_path: Path) -> None:
    path = tmp_path / "file"

    with ThreadPoolExecutor(8) as pool:
        ours = list(pool.map(lambda number: write_new(path, bytes([number])), range(32)))

    assert path.read_bytes() == bytes([ours.index(True)])
    assert ours.count(True) == 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("file", lambda folder: write_whole(folder / "file", b"new")),
        ("file", lambda folder: write_new(folder / "file", b"new")),
        ("password", lambda folder: PasswordFile(folder).set("a long password")),
        ("tokens.json", lambda folder: TokenFile(folder).add("script", now_ms=5)),
    ],
)
def test_file_and_folder_are_flushed_in_order(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    write: Callable[[Path], object],
) -> None:
    folder = tmp_path / "models"
    synced: list[tuple[bool, bool]] = []

    def record(descriptor: int) -> None:
        of_folder = os.path.samestat(os.fstat(descriptor), folder.stat())
        synced.append((of_folder, (folder / name).exists()))

    monkeypatch.setattr(os, "fsync", record)
    write(folder)

    assert synced == [(False, False), (True, True)]


def test_folder_mode_applies_to_a_created_folder(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_whole(tmp_path / "made" / "file", b"new", folder_mode=SHARED)
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o755
