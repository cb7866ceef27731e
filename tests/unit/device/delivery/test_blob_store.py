import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nestling.v1 import bundle_pb2
from nestling_core.nest.bundle_files import blob_of
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.delivery.bundle_source import DeliveryError, SourceUnreachableError
from tests.support.memory_source import MemorySource

DATA = os.urandom(1000)
BLOB = blob_of(DATA)


@pytest.fixture
def source() -> MemorySource:
    source = MemorySource()
    source.blobs[BLOB.sha256] = DATA
    return source


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def test_downloaded_blob_can_be_read(source: MemorySource, store: BlobStore) -> None:
    store.download(source, BLOB)

    assert store.has(BLOB)
    assert store.read(BLOB) == DATA


def test_stored_blob_is_not_fetched_again(source: MemorySource, store: BlobStore) -> None:
    store.download(source, BLOB)
    store.download(source, BLOB)

    assert [(BLOB.sha256, 0)] == source.fetched


def test_empty_blob_is_downloaded(source: MemorySource, store: BlobStore) -> None:
    empty = blob_of(b"")
    source.blobs[empty.sha256] = b""

    store.download(source, empty)

    assert store.has(empty)


def test_broken_download_resumes_where_it_ended(source: MemorySource, store: BlobStore) -> None:
    source.break_after = 300
    with pytest.raises(SourceUnreachableError):
        store.download(source, BLOB)
    assert not store.has(BLOB)
    assert store.received(BLOB) == 300

    store.download(source, BLOB)

    assert source.fetched[-1] == (BLOB.sha256, 300)
    assert store.read(BLOB) == DATA


def test_damaged_blob_is_deleted(source: MemorySource, store: BlobStore) -> None:
    source.blobs[BLOB.sha256] = DATA[:-1] + bytes([DATA[-1] ^ 1])

    with pytest.raises(DeliveryError, match="damaged"):
        store.download(source, BLOB)

    assert not store.has(BLOB)
    assert store.received(BLOB) == 0


def test_truncated_blob_is_deleted(source: MemorySource, store: BlobStore) -> None:
    source.blobs[BLOB.sha256] = DATA[:500]
    source.strict = False

    with pytest.raises(DeliveryError, match="cut short"):
        store.download(source, BLOB)

    assert store.received(BLOB) == 0


def test_endless_source_is_cut_off(store: BlobStore) -> None:
    class Endless(MemorySource):
        sent = 0

        def fetch(self, blob: bundle_pb2.Blob, offset: int) -> Iterator[bytes]:
            while True:
                self.sent += 100
                yield bytes(100)

    source = Endless()

    with pytest.raises(DeliveryError, match="more than the expected 1000 bytes"):
        store.download(source, BLOB)

    assert source.sent == 1100
    assert store.received(BLOB) == 0


def test_damage_on_the_disk_is_found_and_repaired(
    source: MemorySource, store: BlobStore, tmp_path: Path
) -> None:
    store.download(source, BLOB)
    (tmp_path / "blobs" / BLOB.sha256).write_bytes(DATA[::-1])

    assert not store.has(BLOB)
    with pytest.raises(DeliveryError, match="install the bundle again"):
        store.read(BLOB)

    store.download(source, BLOB)
    assert store.read(BLOB) == DATA


def test_download_with_an_overlong_part_file_starts_over(
    source: MemorySource, store: BlobStore, tmp_path: Path
) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / f"{BLOB.sha256}.part").write_bytes(bytes(2000))

    store.download(source, BLOB)

    assert store.read(BLOB) == DATA


def test_full_disk_is_reported_and_leaves_no_blob(
    source: MemorySource, store: BlobStore, tmp_path: Path
) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / f"{BLOB.sha256}.part").symlink_to("/dev/full")

    with pytest.raises(DeliveryError, match=r"disk of .* is full"):
        store.download(source, BLOB)

    assert not store.has(BLOB)


def test_folder_that_cannot_be_created_is_reported(source: MemorySource, tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("a file")

    with pytest.raises(DeliveryError, match="cannot be written"):
        BlobStore(tmp_path / "blobs").download(source, BLOB)


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "A" * 64])
def test_name_that_is_not_a_digest_never_becomes_a_path(store: BlobStore, name: str) -> None:
    with pytest.raises(DeliveryError, match="not a SHA-256"):
        store.has(bundle_pb2.Blob(sha256=name, size=1))


def test_only_blobs_to_keep_remain(source: MemorySource, store: BlobStore) -> None:
    other = blob_of(b"other")
    source.blobs[other.sha256] = b"other"
    store.download(source, BLOB)
    store.download(source, other)

    store.remove_except([other])

    assert not store.has(BLOB)
    assert store.has(other)


def test_entry_that_cannot_be_deleted_does_not_stop_the_deletion(
    source: MemorySource, store: BlobStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.download(source, BLOB)
    (tmp_path / "blobs" / "a-folder").mkdir()
    Path(tmp_path / "blobs", os.fsdecode(b"\xff\n")).write_bytes(b"left over")

    store.remove_except([])

    assert [path.name for path in (tmp_path / "blobs").iterdir()] == ["a-folder"]
    assert "a-folder is no longer in use but cannot be deleted" in caplog.text.replace("'", "")
