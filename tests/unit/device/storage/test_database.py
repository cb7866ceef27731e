import logging
import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from nestling.v1 import receipt_pb2
from nestling_device.storage.database import Database, LockTimeout, StorageError
from nestling_device.storage.state import State
from nestling_device.telemetry.outbox import Outbox
from tests.support.processes import until

SCHEMA = "CREATE TABLE things (name TEXT)"
QUICK = LockTimeout(busy_s=0.01)


@contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    """Hold an exclusive lock on the file, as another program would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield other


def test_append_waits_for_a_locked_file_and_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Outbox(tmp_path, lock_timeout=QUICK) as outbox:
        outbox.append(receipt_pb2.Receipt(input_index=0))
        appending = threading.Thread(
            target=lambda: outbox.append(receipt_pb2.Receipt(input_index=1))
        )
        with locked(tmp_path / "outbox.db"):
            appending.start()
            until(lambda: "is locked by another program" in caplog.text)
            assert appending.is_alive()
        appending.join()

        assert [entry.input_index for entry in outbox.batch(9).batch.receipts] == [0, 1]
    assert caplog.text.count("is locked") == 1


def test_start_waits_for_a_locked_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    State(tmp_path).close()
    opened: list[State] = []
    opening = threading.Thread(target=lambda: opened.append(State(tmp_path, lock_timeout=QUICK)))
    with locked(tmp_path / "state.db"):
        opening.start()
        until(lambda: "is locked by another program" in caplog.text)
    opening.join()

    opened[0].close()


def test_permanent_lock_is_an_error(tmp_path: Path) -> None:
    Database(tmp_path / "x.db", schema=SCHEMA, version=1).close()
    lock_timeout = LockTimeout(busy_s=0.01, give_up_s=0.05)

    with locked(tmp_path / "x.db"), pytest.raises(StorageError, match="locked"):
        Database(tmp_path / "x.db", schema=SCHEMA, version=1, lock_timeout=lock_timeout)


@pytest.mark.parametrize("before", [None, 0o644])
def test_only_the_owner_can_read_the_file_and_its_side_files(
    tmp_path: Path, before: int | None
) -> None:
    path = tmp_path / "x.db"
    if before is not None:
        path.touch()
        path.chmod(before)
    umask = os.umask(0o022)
    try:
        with Database(path, schema=SCHEMA, version=1) as database:
            with database.transaction() as cursor:
                cursor.execute("INSERT INTO things VALUES ('a')")

            modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    finally:
        os.umask(umask)

    assert modes == {"x.db": 0o600, "x.db-wal": 0o600, "x.db-shm": 0o600}


def test_damage_anywhere_in_the_file_is_a_storage_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    State(tmp_path / "sound").close()
    sound = (tmp_path / "sound" / "state.db").read_bytes()
    reported = 0
    for place in range(0, len(sound), 97):
        folder = tmp_path / str(place)
        folder.mkdir()
        damaged = bytearray(sound)
        damaged[place] ^= 0x5A
        (folder / "state.db").write_bytes(damaged)
        try:
            with State(folder) as state:
                state.active()
                state.next_bd_seq()
        except StorageError as err:
            reported += "state.db" in str(err)

    assert reported > 3
