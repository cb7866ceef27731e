"""Inputs to ask the cloud about are stored and removed together with their receipts."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nestling.v1.receipt_pb2 import FOLLOW_UP_DEFERRED, Receipt
from nestling.v1.stream_pb2 import PendingInput, StreamState
from nestling_device.storage.database import StorageError
from nestling_device.telemetry.outbox import AcknowledgementEffect, Outbox
from tests.support.receipts import acknowledgement


def receipt(index: int) -> Receipt:
    return Receipt(input_index=index)


def waiting(index: int) -> PendingInput:
    return PendingInput(
        input_index=index, input=bytes(24), follow_up=FOLLOW_UP_DEFERRED, follows=-index
    )


def numbers(outbox: Outbox) -> list[int]:
    return [entry.number for entry in outbox.pending(1000)]


def indices(outbox: Outbox, limit: int = 1000) -> list[int | None]:
    return [entry.content and entry.content.input_index for entry in outbox.pending(limit)]


def contents(outbox: Outbox) -> tuple[object, ...]:
    """Return everything that one call of `append` may change."""
    return (
        outbox.marks(),
        outbox.batch(1000).batch,
        outbox.stream_state(),
        outbox.pending(1000),
        outbox.pending_count(),
    )


def execute(folder: Path, statement: str) -> None:
    """Change the file of the outbox as another program could."""
    connection = sqlite3.connect(folder / "outbox.db")
    with connection:
        connection.execute(statement)
    connection.close()


def test_input_is_returned_as_it_was_added(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append(receipt(5), added=[waiting(5)])

        assert outbox.pending(9) == [(1, waiting(5))]
        assert outbox.pending_count() == 1


def test_new_outbox_has_no_inputs_waiting(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        assert (outbox.pending(9), outbox.pending_count()) == ([], 0)


def test_oldest_inputs_come_first_and_no_more_than_the_limit(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append(receipt(8), added=[waiting(8)])
        outbox.append(receipt(3), added=[waiting(3), waiting(9)])

        assert indices(outbox, 2) == [8, 3]
        assert indices(outbox, 0) == []
        assert indices(outbox) == [8, 3, 9]
        assert outbox.pending_count() == 3


def test_only_the_named_inputs_are_removed(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append(added=[waiting(n) for n in range(5)])

        outbox.append(receipt(9), added=[waiting(9)], removed=[2, 4, 99])

        assert indices(outbox) == [0, 2, 4, 9]


@pytest.mark.parametrize("removed", [[3], [1, 2, 3]], ids=["newest", "all"])
def test_number_is_never_used_again(tmp_path: Path, removed: list[int]) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append(added=[waiting(n) for n in range(3)])
        outbox.append(removed=removed)
        left = numbers(outbox)
        outbox.append(added=[waiting(3)])

        assert numbers(outbox) == [*left, 4]

    with Outbox(tmp_path) as outbox:
        outbox.append(removed=[4])
        outbox.append(added=[waiting(4)])

        assert numbers(outbox) == [*left, 5]


def test_inputs_survive_a_restart_and_an_acknowledgement(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append(receipt(1), added=[waiting(1)])
        outbox.append(receipt(2), added=[waiting(2)])
        outbox.acknowledge(acknowledgement(outbox, 2))
        before = outbox.pending(9)

    with Outbox(tmp_path) as outbox:
        assert outbox.pending(9) == before == [(1, waiting(1)), (2, waiting(2))]


def test_inputs_stay_when_a_full_outbox_drops_their_receipts(tmp_path: Path) -> None:
    with Outbox(tmp_path, capacity=1) as outbox:
        for index in range(4):
            outbox.append(receipt(index), added=[waiting(index)])

        assert outbox.marks().depth == 1
        assert indices(outbox) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("table", "event"),
    [
        ("pending", "DELETE"),
        ("pending", "INSERT"),
        ("receipts", "INSERT"),
        ("outbox", "UPDATE"),
        ("stream", "INSERT"),
        ("spans", "UPDATE"),
    ],
)
def test_failing_statement_rolls_everything_back(tmp_path: Path, table: str, event: str) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append(
            receipt(1), stream_state=StreamState(source="a"), added=[waiting(1), waiting(2)]
        )
        # A full disk can fail any statement of the transaction.
        execute(
            tmp_path,
            f"CREATE TRIGGER full BEFORE {event} ON {table} BEGIN SELECT RAISE(ABORT, 'full'); END",
        )
        before = contents(outbox)

        with pytest.raises(StorageError, match="full"):
            outbox.append(
                receipt(2), stream_state=StreamState(source="b"), added=[waiting(3)], removed=[1]
            )

        assert contents(outbox) == before
        execute(tmp_path, "DROP TRIGGER full")
        assert outbox.append(receipt(2), added=[waiting(3)], removed=[1]) == 2
        assert numbers(outbox) == [2, 3]


def test_append_without_receipts_changes_no_sequence_and_begins_no_span(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append(receipt(1), added=[waiting(1)])
        before = outbox.batch(9).batch

    with Outbox(tmp_path) as outbox:
        assert outbox.append(added=[waiting(2)], removed=[1]) == 1
        assert outbox.append(stream_state=StreamState(source="b")) == 1
        assert (outbox.marks().last, indices(outbox)) == (1, [2])
        assert outbox.batch(9).batch == before
        # A process that has appended no receipt has no span to end.
    with Outbox(tmp_path) as outbox:
        assert outbox.acknowledge(acknowledgement(outbox, 1)) is AcknowledgementEffect.SETTLED
        assert outbox.append(receipt(2)) == 2
        after = outbox.batch(9).batch

    assert after.outbox_id != before.outbox_id
    assert after.previous_outbox_id == before.outbox_id  # no span in between
    assert [entry.sequence for entry in after.receipts] == [1]


def test_inputs_can_wait_before_the_first_receipt(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        assert outbox.append(added=[waiting(1)]) == 0
        assert (outbox.marks().last, list(outbox.batch(9).batch.receipts)) == (0, [])

        assert outbox.append(receipt(1)) == 1


def test_append_of_nothing_changes_nothing(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append(receipt(1), stream_state=StreamState(source="a"), added=[waiting(1)])
        before = contents(outbox)

        assert outbox.append() == 1
        assert contents(outbox) == before


@pytest.mark.parametrize(
    "damaged", ["x'ffffff'", "x'127f'", "'text'", "CAST(x'ff' AS TEXT)", "7", "0.5"]
)
def test_damaged_input_is_returned_without_content_and_can_be_removed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damaged: str
) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append(added=[waiting(n) for n in (1, 2, 3)])
    statement = f"UPDATE pending SET content = {damaged} WHERE number = 2"  # noqa: S608 - ours
    execute(tmp_path, statement)

    with Outbox(tmp_path) as outbox:
        assert outbox.pending(9) == [(1, waiting(1)), (2, None), (3, waiting(3))]
        assert "is damaged" in caplog.text
        assert outbox.pending_count() == 3

        outbox.append(removed=[2])
        assert numbers(outbox) == [1, 3]


@pytest.mark.parametrize("version", [4, 6])
def test_file_of_another_version_is_refused_and_left_alone(tmp_path: Path, version: int) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append(receipt(1), added=[waiting(1)])
    execute(tmp_path, f"PRAGMA user_version = {version}")

    with pytest.raises(StorageError, match=f"layout {version} and this program knows 5"):
        Outbox(tmp_path)

    execute(tmp_path, "PRAGMA user_version = 5")
    with Outbox(tmp_path) as outbox:
        assert (outbox.marks().last, indices(outbox)) == (1, [1])


def test_threads_add_and_remove_without_losing_or_repeating_an_input(tmp_path: Path) -> None:
    count, added_all = 40, threading.Event()

    def add(outbox: Outbox) -> None:
        for index in range(count):
            outbox.append(receipt(index), added=[waiting(index)])
        added_all.set()

    def settle(outbox: Outbox) -> list[int]:
        """Settle waiting inputs with a receipt each until there can be no more."""
        found: list[int] = []
        while not (added_all.is_set() and not outbox.pending_count()):
            for number, content in outbox.pending(3):
                assert content is not None
                outbox.append(receipt(count + content.input_index), removed=[number])
                found.append(content.input_index)
        return found

    with Outbox(tmp_path) as outbox, ThreadPoolExecutor(2) as pool:
        adding, settling = pool.submit(add, outbox), pool.submit(settle, outbox)
        adding.result()
        settled = settling.result()

        batch = outbox.batch(1000).batch
        assert settled == [*range(count)]
        assert [entry.sequence for entry in batch.receipts] == [*range(1, 2 * count + 1)]
        assert sorted(entry.input_index for entry in batch.receipts) == [*range(2 * count)]
