"""Leftovers of killed processes are removed; files of running processes are kept."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from nestling_cloud.temporary_files import remove_abandoned, temporary_file, temporary_folder

PREFIX = ".mine-"
_HOLDER = """\
import sys, pathlib
from nestling_cloud.temporary_files import {maker}
with {maker}({prefix!r}, pathlib.Path(sys.argv[1])) as made:
    path = made if isinstance(made, pathlib.Path) else made[0]
    if path.is_dir():
        (path / "deep").mkdir()
        (path / "deep" / "file").touch()
    print(path, flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(parent: Path, maker: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Start another process that holds a temporary folder or file until it is ended."""
    program = [sys.executable, "-P", "-c", _HOLDER.format(maker=maker, prefix=PREFIX), str(parent)]
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


@pytest.mark.parametrize("maker", ["temporary_folder", "temporary_file"])
def test_leftovers_of_a_killed_process_are_removed_and_those_in_use_are_kept(
    tmp_path: Path, maker: str
) -> None:
    with holder(tmp_path, maker) as (killed, left), holder(tmp_path, maker) as (_, held):
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert left.exists()
        assert held.exists()

        with temporary_folder(PREFIX, tmp_path) as mine:
            assert mine.is_dir()
            assert not left.exists()
            assert held.exists()

    assert not mine.exists()


def test_renamed_folder_is_kept(tmp_path: Path) -> None:
    with temporary_folder(PREFIX, tmp_path) as made:
        (made / "file").touch()
        made.rename(tmp_path / "kept")

    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept" / "file").exists()


def test_error_inside_leaves_nothing(tmp_path: Path) -> None:
    for maker in (temporary_folder, temporary_file):
        with pytest.raises(KeyError), maker(PREFIX, tmp_path):
            raise KeyError

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "make",
    [
        lambda path, elsewhere: path.symlink_to(elsewhere),
        lambda path, _: os.mkfifo(path),
    ],
    ids=["symlink", "pipe"],
)
def test_links_are_not_followed_and_pipes_do_not_block(
    tmp_path: Path, make: Callable[[Path, Path], None]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    make(tmp_path / f"{PREFIX}x", elsewhere)

    remove_abandoned(tmp_path, PREFIX)

    assert (elsewhere / "file").exists()


def test_concurrent_users_keep_their_files(tmp_path: Path) -> None:
    def use(number: int) -> bool:
        with temporary_folder(PREFIX, tmp_path) as made:
            (made / "file").write_text(str(number))
            return (made / "file").read_text() == str(number)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(200)))

    assert list(tmp_path.iterdir()) == []


def test_remove_abandoned_accepts_a_missing_folder(tmp_path: Path) -> None:
    remove_abandoned(tmp_path / "none", PREFIX)
