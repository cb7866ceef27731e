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


def test_folder_in_which_nothing_ever_ran_has_nothing_and_stays_empty(tmp_path: Path) -> None:
    assert (read_bundle(tmp_path), read_outbox(tmp_path)) == (None, None)
    assert not is_running(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_device_runs_while_it_holds_its_claim(tmp_path: Path) -> None:
    with locked(tmp_path):
        assert is_running(tmp_path)
    assert not is_running(tmp_path)


def test_asking_does_not_keep_a_device_from_starting(tmp_path: Path) -> None:
    with locked(tmp_path):
        pass
    assert not is_running(tmp_path)
    with locked(tmp_path):
        assert is_running(tmp_path)


def test_active_bundle_is_told_while_its_device_runs_and_after(tmp_path: Path) -> None:
    held = BundleRecord(
        manifest=Blob(sha256="a" * 64, size=7), version="t-1", task="t", release=1, capacity=3
    )
    wanted = BundleSnapshot(version="t-1", task="t", release=1, capacity=3, sha256="a" * 64, size=7)
    with State(tmp_path) as state:
        assert read_bundle(tmp_path) is None
        state.switch(held)
        assert read_bundle(tmp_path) == wanted

    assert read_bundle(tmp_path) == wanted


def test_outbox_tells_what_waits_and_since_when(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        for moment in range(5):
            outbox.append(Receipt(answered_at_ms=1000 + moment))
        outbox.acknowledge(acknowledgement(outbox, 2))
        found = read_outbox(tmp_path)

        assert found is not None
        assert (found.written, found.acknowledged, found.depth) == (5, 2, 3)
        assert (found.oldest_ms, found.newest_ms) == (1002, 1004)

        outbox.acknowledge(acknowledgement(outbox, 5))
        emptied = read_outbox(tmp_path)

    assert emptied is not None
    assert (emptied.depth, emptied.oldest_ms) == (0, None)


def test_reading_waits_for_no_transaction(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append(Receipt())
        with outbox._database.transaction() as cursor:
            cursor.execute("DELETE FROM receipts")
            found = read_outbox(tmp_path)

    assert found is not None
    assert found.depth == 1


@pytest.mark.parametrize(("name", "read"), [("state.db", read_bundle), ("outbox.db", read_outbox)])
def test_damaged_database_is_an_error_that_names_it(
    tmp_path: Path, name: str, read: Callable[[Path], object]
) -> None:
    (tmp_path / name).write_bytes(b"no database" * 100)

    with pytest.raises(StorageError, match=rf"{name} cannot be read.*sudo -u nestling"):
        read(tmp_path)
