from pathlib import Path

import pytest

from nestling_device.storage.database import StorageError
from nestling_device.storage.lock import locked


def test_folder_is_made(tmp_path: Path) -> None:
    with locked(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()


def test_claimed_folder_is_refused_to_others(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(StorageError, match="another device"), locked(tmp_path):
        pass


def test_folder_is_free_again_after_the_claim(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path):
            pass


def test_folders_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    with locked(tmp_path / "a"), locked(tmp_path / "b"):
        pass


def test_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").touch()

    with pytest.raises(StorageError, match="name a folder"), locked(tmp_path / "state"):
        pass
