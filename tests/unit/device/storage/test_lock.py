from pathlib import Path

import pytest

from nestling_device.storage.database import StorageError
from nestling_device.storage.lock import locked


def test_missing_folder_is_created(tmp_path: Path) -> None:
    with locked(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()


def test_locked_folder_is_refused_to_others(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(StorageError, match="another device"), locked(tmp_path):
        pass


def test_folder_can_be_locked_again_after_release(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path):
            pass


def test_different_folders_are_locked_independently(tmp_path: Path) -> None:
    with locked(tmp_path / "a"), locked(tmp_path / "b"):
        pass


def test_file_instead_of_a_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "state").touch()

    with pytest.raises(StorageError, match="name a folder"), locked(tmp_path / "state"):
        pass
