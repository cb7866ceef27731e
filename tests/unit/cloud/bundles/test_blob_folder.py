from pathlib import Path

import pytest

from nestling_cloud.bundles.blob_folder import BlobFolder
from nestling_cloud.bundles.repository_errors import BlobNotFoundError, OffsetError


@pytest.fixture
def folder(tmp_path: Path) -> BlobFolder:
    return BlobFolder(tmp_path / "blobs")


def test_added_blob_reads_back_completely_and_in_pieces(folder: BlobFolder) -> None:
    blob = folder.add(b"0123456789")

    assert folder.size(blob.sha256) == 10
    assert folder.read(blob.sha256) == b"0123456789"
    assert folder.read(blob.sha256, 3, 4) == b"3456"
    assert folder.read(blob.sha256, 10, 4) == b""


def test_adding_twice_keeps_one_file(folder: BlobFolder, tmp_path: Path) -> None:
    first = folder.add(b"same")
    second = folder.add(b"same")

    assert first == second
    files = [path.name for path in (tmp_path / "blobs").iterdir()]
    assert files == [first.sha256]


@pytest.mark.parametrize("name", ["../desired.binpb", "", "A" * 64, "0" * 64])
def test_name_that_is_not_a_blob_is_not_found(folder: BlobFolder, name: str) -> None:
    folder.add(b"something else")

    with pytest.raises(BlobNotFoundError, match="no blob"):
        folder.read(name)


def test_offset_beyond_the_end_is_refused(folder: BlobFolder) -> None:
    blob = folder.add(b"0123")

    with pytest.raises(OffsetError, match="has 4 bytes; offset 5"):
        folder.read(blob.sha256, 5)


def test_damaged_blob_is_written_again_when_it_is_added(folder: BlobFolder, tmp_path: Path) -> None:
    blob = folder.add(b"whole")
    (tmp_path / "blobs" / blob.sha256).write_bytes(b"")

    assert folder.add(b"whole") == blob
    assert folder.read_whole(blob) == b"whole"
