from collections.abc import Callable
from pathlib import Path

import pytest

from nestling.v1.bundle_pb2 import Blob
from nestling.v1.receipt_pb2 import Receipt
from nestling_device.storage.database import StorageError
from nestling_device.storage.lock import locked
from nestling_device.storage.snapshot import BundleSnapshot, is_running, read_bundle, read_outbox
from nestling_device.storage.state import BundleRecord, State
from nestling_device.telemetry.outbox import Outbox
from tests.support.receipts import acknowledgement


def test_unused_folder_has_no_snapshot_and_stays_empty(tmp_path: Path) -> None:
    assert (read_bundle(tmp_path), read_outbox(tmp_path)) == (None, None)
    assert not is_running(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_device_is_running_while_it_holds_the_lock(tmp_path: Path) -> None:
    with locked(tmp_path):
        assert is_running(tmp_path)
    assert not is_running(tmp_path)


def test_status_query_does_not_prevent_a_device_from_starting(tmp_path: Path) -> None:
    with locked(tmp_path):
        pass
    assert not is_running(tmp_path)
    with locked(tmp_path):
        assert is_running(tmp_path)


def test_active_bundle_is_read_while_its_device_runs_and_after(tmp_path: Path) -> None:
    held = BundleRecord(
        manifest=Blob(sha256="a" * 64, size=7), version="t-1", task="t", release=1, capacity=3
    )
    expected = BundleSnapshot(
        version="t-1", task="t", release=1, capacity=3, sha256="a" * 64, size=7
    )
    with State(tmp_path) as state:
        assert read_bundle(tmp_path) is None
        state.switch(held)
        assert read_bundle(tmp_path) == expected

    assert read_bundle(tmp_path) == expected


def test_outbox_snapshot_has_depth_and_times(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        for moment in range(5):
            outbox.append(Receipt(answered_at_ms=1000 + moment))
        outbox.acknowledge(acknowledgement(outbox, 2))
        snapshot = read_outbox(tmp_path)

        assert snapshot is not None
        assert (snapshot.written, snapshot.acknowledged, snapshot.depth) == (5, 2, 3)
        assert snapshot.oldest_ms == 1002

        outbox.acknowledge(acknowledgement(outbox, 5))
        emptied = read_outbox(tmp_path)

    assert emptied is not None
    assert (emptied.depth, emptied.oldest_ms) == (0, None)


def test_reading_does_not_wait_for_a_transaction(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append(Receipt())
        with outbox._database.transaction() as cursor:
            cursor.execute("DELETE FROM receipts")
            snapshot = read_outbox(tmp_path)

    assert snapshot is not None
    assert snapshot.depth == 1


@pytest.mark.parametrize(("name", "read"), [("state.db", read_bundle), ("outbox.db", read_outbox)])
def test_damaged_database_is_an_error_that_names_it(
    tmp_path: Path, name: str, read: Callable[[Path], object]
) -> None:
    (tmp_path / name).write_bytes(b"no database" * 100)

    with pytest.raises(StorageError, match=rf"{name} cannot be read.*sudo -u nestling"):
        read(tmp_path)
