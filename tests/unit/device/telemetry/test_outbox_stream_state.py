"""The state of the stream always belongs to the newest receipt in the outbox."""

import sqlite3
from pathlib import Path

import pytest

from nestling.v1.receipt_pb2 import Receipt
from nestling.v1.stream_pb2 import StreamState
from nestling_device.storage.database import LockTimeout, StorageError
from nestling_device.telemetry.outbox import Outbox
from tests.support.receipts import acknowledgement


def receipt(index: int) -> Receipt:
    return Receipt(input_index=index)


def state(index: int) -> StreamState:
    return StreamState(
        bundle_version="hand-1", source="ward", answered_at_ms=index, belief=[0.25, 0.75]
    )


def stored(outbox: Outbox) -> tuple[int, StreamState | None]:
    """Return the number of receipts that were ever stored, and the state."""
    return outbox.marks().last, outbox.stream_state()


def execute(folder: Path, statement: str, *values: object) -> None:
    """Change the file of the outbox as another program could."""
    connection = sqlite3.connect(folder / "outbox.db")
    with connection:
        connection.execute(statement, values)
    connection.close()


def test_new_outbox_has_no_state(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        assert outbox.stream_state() is None


def test_receipt_and_state_are_both_there_after_a_restart(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append(receipt(1), stream_state=state(1))
        outbox.append(receipt(2), stream_state=state(2))
        before = stored(outbox)

    with Outbox(tmp_path) as outbox:
        assert stored(outbox) == before == (2, state(2))


def test_append_without_a_state_leaves_the_earlier_one(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append(receipt(1), stream_state=state(1))
        outbox.append(receipt(2))

        assert stored(outbox) == (2, state(1))


def test_state_survives_the_acknowledgement_of_every_receipt(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append(receipt(1), stream_state=state(1))
        outbox.acknowledge(acknowledgement(outbox, 1))

        assert stored(outbox) == (1, state(1))


def test_state_survives_a_full_outbox(tmp_path: Path) -> None:
    with Outbox(tmp_path, capacity=1) as outbox:
        for index in (1, 2):
            outbox.append(receipt(index), stream_state=state(index))

        assert stored(outbox) == (2, state(2))


@pytest.mark.parametrize("table", ["receipts", "stream"])
def test_failed_append_leaves_receipts_and_state_unchanged(tmp_path: Path, table: str) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append(receipt(1), stream_state=state(1))
    # A full disk can fail any statement of the transaction.
    execute(
        tmp_path,
        f"CREATE TRIGGER full BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'full'); END",
    )

    with Outbox(tmp_path) as outbox:
        with pytest.raises(StorageError, match="full"):
            outbox.append(receipt(2), stream_state=state(2))

        assert stored(outbox) == (1, state(1))


def test_append_to_a_locked_file_leaves_receipts_and_state_unchanged(tmp_path: Path) -> None:
    with Outbox(tmp_path, lock_timeout=LockTimeout(busy_s=0.01, give_up_s=0.0)) as outbox:
        outbox.append(receipt(1), stream_state=state(1))
        other = sqlite3.connect(tmp_path / "outbox.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError):
            outbox.append(receipt(2), stream_state=state(2))
        other.execute("ROLLBACK")
        other.close()

        assert stored(outbox) == (1, state(1))


@pytest.mark.parametrize("damaged", [b"\xff\xff\xff", "text", 7])
def test_damaged_state_starts_anew_with_a_warning_and_can_be_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damaged: object
) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append(receipt(1), stream_state=state(1))
    execute(tmp_path, "UPDATE stream SET state = ?", damaged)

    with Outbox(tmp_path) as outbox:
        assert stored(outbox) == (1, None)
        assert caplog.messages == [
            "the state of the stream is damaged; the device starts without a belief"
        ]
        outbox.append(receipt(2), stream_state=state(2))

        assert outbox.stream_state() == state(2)
