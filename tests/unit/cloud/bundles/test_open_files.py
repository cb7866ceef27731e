"""Open files: their content, their number, and replaced files."""

import gc
import os
from pathlib import Path, PosixPath

import pytest

from nestling_cloud.bundles.open_files import OpenFiles


def open_below(folder: Path) -> int:
    """Count the files below a folder that this process has open."""
    links = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))  # noqa: PTH208
    return sum(str(folder) in os.readlink(link) for link in links if link.is_symlink())  # noqa: PTH115


def test_piece_of_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"0123456789")
    files = OpenFiles()

    assert files.read(file) == b"0123456789"
    assert files.read(file, 4) == b"456789"
    assert files.read(file, 4, 3) == b"456"
    assert files.read(file, 10, 3) == b""


def test_replaced_file_is_read_again_and_the_old_one_closed(tmp_path: Path) -> None:
    file, other = tmp_path / "file", tmp_path / "other"
    file.write_bytes(b"old")
    files = OpenFiles()
    files.read(file)
    other.write_bytes(b"new")
    other.replace(file)

    assert files.read(file) == b"new"
    assert open_below(tmp_path) == 1


class PathReplacedAfterStat(PosixPath):
    """A path whose file is replaced by a longer one after the first `stat`."""

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        found = super().stat(follow_symlinks=follow_symlinks)
        longer = self.with_name("longer")
        longer.write_bytes(b"new and longer")
        os.replace(longer, self)  # noqa: PTH105  a method of Path may call stat again
        return found


def test_file_replaced_while_it_is_opened_is_read_completely(tmp_path: Path) -> None:
    file = PathReplacedAfterStat(tmp_path / "file")
    file.write_bytes(b"old")

    assert OpenFiles().read(file) == b"new and longer"


def test_open_files_are_limited_and_closed_in_the_end(tmp_path: Path) -> None:
    files = OpenFiles(most=2)
    for name in "abca":
        path = tmp_path / name
        path.write_text(name)
        assert files.read(path) == name.encode()

    assert open_below(tmp_path) == 2
    del files
    gc.collect()
    assert open_below(tmp_path) == 0


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        OpenFiles().read(tmp_path / "none")
