from pathlib import Path

import pytest

from nestling_device.storage.atomic_file import replace_file, write_private


def test_file_is_replaced_as_a_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "costs.json"

    replace_file(path, "a longer text")
    replace_file(path, "short")

    assert path.read_text() == "short"
    assert list(tmp_path.iterdir()) == [path]


def test_leftover_of_a_killed_write_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "costs.json"
    path.with_suffix(".part").write_text("half of a long te")

    replace_file(path, "ä")

    assert path.read_text("utf-8") == "ä"


def test_private_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    write_private(tmp_path / "key", "secret")

    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_private_file_never_replaces_another(tmp_path: Path) -> None:
    write_private(tmp_path / "key", "secret")

    with pytest.raises(FileExistsError):
        write_private(tmp_path / "key", "another")
    assert (tmp_path / "key").read_text() == "secret"
