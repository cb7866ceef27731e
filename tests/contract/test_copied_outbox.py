"""Outboxes of copied state folders lose no receipts in the cloud's store."""

import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from nestling.v1 import receipt_pb2
from nestling_cloud.store import copied_outboxes, tables
from nestling_cloud.store.deduplication import Ledger
from nestling_cloud.store.delivery import Delivery
from nestling_cloud.store.store import CommitResult, Store
from nestling_device.telemetry.outbox import AcknowledgementEffect, Outbox
from tests.support.receipts import make_receipt
from tests.support.stored import losses

DEVICE = "porch"
ALL = 10**6


def answer(outbox: Outbox, *indices: int) -> None:
    outbox.append(*(make_receipt(0, input_index=index) for index in indices))


def deliver(store: Store, outbox: Outbox) -> CommitResult:
    """Deliver every receipt that has not been acknowledged."""
    return store.add_all([Delivery(device=DEVICE, batch=outbox.batch(ALL).batch)])


def acknowledge(added: CommitResult, *outboxes: Outbox) -> list[AcknowledgementEffect]:
    """Pass the acknowledgements of a commit to every copy of the device."""
    messages = [message for _, message in added.acknowledgements()]
    return [outbox.acknowledge(message) for message in messages for outbox in outboxes]


def drain(store: Store, outbox: Outbox, *others: Outbox) -> None:
    while outbox.marks().depth:
        acknowledge(deliver(store, outbox), outbox, *others)


def stored(store: Store) -> list[int]:
    return sorted(row.input_index for row in store.receipts())


def copies(store: Store) -> dict[str, int]:
    with store.reading() as connection:
        newest = max(row.seen_ms for row in connection.execute(tables.OUTBOXES.select()))
        return copied_outboxes.active_copies(connection, now_ms=newest)


def test_same_sequences_with_other_content_are_stored_under_another_outbox(
    store: Store, tmp_path: Path
) -> None:
    with Outbox(tmp_path / "first") as first:
        answer(first, 0, 1, 2)
        same = first.batch(ALL).batch
        drain(store, first)
    with Outbox(tmp_path / "other") as other:  # gets the same id below
        answer(other, 10, 11, 12)
        with other._database.transaction() as cursor:
            cursor.execute("UPDATE spans SET outbox_id = ?", (same.outbox_id,))

        assert acknowledge(deliver(store, other), other) == [AcknowledgementEffect.FORKED]
        drain(store, other)

    assert stored(store) == [0, 1, 2, 10, 11, 12]
    assert copies(store) == {DEVICE: 2}


def test_mixture_of_two_outboxes_settles_neither(store: Store, tmp_path: Path) -> None:
    with Outbox(tmp_path / "first") as first, Outbox(tmp_path / "other") as other:
        answer(first, 0, 1)
        answer(other, 10, 11, 12, 13)
        with other._database.transaction() as cursor:
            cursor.execute("UPDATE spans SET outbox_id = ?", (first.batch(1).batch.outbox_id,))
        acknowledge(deliver(store, first))  # no outbox receives the acknowledgement

        effects = acknowledge(deliver(store, other), first, other)  # the store has 0, 1, 12, 13

        assert effects == [AcknowledgementEffect.FORKED, AcknowledgementEffect.FORKED]
        drain(store, first)
        drain(store, other)

    assert {0, 1, 10, 11, 12, 13} == set(stored(store))


def test_copied_backlog_is_stored_once(store: Store, tmp_path: Path) -> None:
    with Outbox(tmp_path / "first") as first:
        answer(first, 0, 1, 2)
        shutil.copytree(tmp_path / "first", tmp_path / "clone")  # while it runs
        answer(first, 3, 4)
        with Outbox(tmp_path / "clone") as clone:
            answer(clone, 10, 11)
            acknowledge(deliver(store, first), first, clone)

            assert [entry.input_index for entry in clone.batch(ALL).batch.receipts] == [10, 11]
            drain(store, clone, first)
            assert first.marks().depth == 0

    assert stored(store) == [0, 1, 2, 3, 4, 10, 11]


def test_two_active_copies_are_detected_and_restarts_are_not(store: Store, tmp_path: Path) -> None:
    for index in range(3):
        with Outbox(tmp_path / "first") as first:
            answer(first, index)
            drain(store, first)
    assert copies(store) == {}

    shutil.copytree(tmp_path / "first", tmp_path / "clone")
    for index, name in ((3, "first"), (4, "clone"), (5, "clone"), (6, "first")):
        with Outbox(tmp_path / name) as outbox:
            answer(outbox, index)
            drain(store, outbox)

    assert copies(store) == {DEVICE: 2}
    with store.reading() as connection:
        later_ms = copied_outboxes.ACTIVE_WITHIN_MS + 2**42
        assert copied_outboxes.active_copies(connection, now_ms=later_ms) == {}
        assert copied_outboxes.active_copies(connection, now_ms=0, device="another") == {}


def test_copies_that_first_deliver_in_one_commit_are_distinguished(
    store: Store, tmp_path: Path
) -> None:
    with Outbox(tmp_path / "1") as first:
        answer(first, 0)
        drain(store, first)
    shutil.copytree(tmp_path / "1", tmp_path / "2")
    with Outbox(tmp_path / "1") as first, Outbox(tmp_path / "2") as second:
        answer(first, 1)
        answer(second, 2)
        batches = [outbox.batch(ALL).batch for outbox in (first, second)]

        store.add_all([Delivery(device=DEVICE, batch=batch) for batch in batches])

    assert copies(store) == {DEVICE: 2}


def test_restarted_copy_of_a_running_machine_loses_nothing(store: Store, tmp_path: Path) -> None:
    with Outbox(tmp_path / "first") as first:
        answer(first, 0)
        shutil.copytree(tmp_path / "first", tmp_path / "second")
        with Outbox(tmp_path / "second") as second:
            second._began = True  # as in a copy of a virtual machine, with its memory
            answer(second, 1)
        answer(first, 2, 3)
        with Outbox(tmp_path / "second") as second:
            acknowledge(deliver(store, first), first, second)
            drain(store, second)

    assert set(stored(store)) == {0, 1, 2, 3}


@pytest.mark.parametrize("content", [b"", b"\xff\xff\xff", b"\x10\x07"])
def test_damaged_row_becomes_a_gap_and_the_next_receipts_are_stored(
    store: Store, tmp_path: Path, content: bytes
) -> None:
    with Outbox(tmp_path) as outbox:
        answer(outbox, 0, 1, 2)
        with outbox._database.transaction() as cursor:
            cursor.execute("UPDATE receipts SET receipt = ? WHERE sequence = 2", (content,))

        assert acknowledge(deliver(store, outbox), outbox) == [AcknowledgementEffect.SETTLED]

        assert outbox.marks().depth == 0
    assert stored(store) == [0, 2]
    assert (losses(store).unreadable, losses(store).rejected) == (1, 0)


def test_missing_row_does_not_block_the_receipts_after_it(store: Store, tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        answer(outbox, 0, 1, 2)
        with outbox._database.transaction() as cursor:
            cursor.execute("DELETE FROM receipts WHERE sequence = 2")

        drain(store, outbox)

    assert stored(store) == [0, 2]
    assert losses(store).unreadable == 1
    assert copies(store) == {}


@pytest.mark.parametrize("sequence", [1, 2, 3])
@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM receipts WHERE sequence = ?",
        "UPDATE receipts SET fingerprint = 7 WHERE sequence = ?",
        "UPDATE receipts SET fingerprint = 'seven' WHERE sequence = ?",
    ],
)
def test_damaged_row_is_not_taken_for_a_copy_of_the_folder(
    store: Store, tmp_path: Path, damage: str, sequence: int
) -> None:
    with Outbox(tmp_path) as outbox:
        answer(outbox, 0, 1, 2)
        with outbox._database.transaction() as cursor:
            cursor.execute(damage, (sequence,))

        assert acknowledge(deliver(store, outbox), outbox) == [AcknowledgementEffect.SETTLED]
        answer(outbox, 3)
        assert acknowledge(deliver(store, outbox), outbox) == [AcknowledgementEffect.SETTLED]
        assert outbox.marks().depth == 0

    assert stored(store) == sorted({0, 1, 2, 3} - {sequence - 1})
    assert copies(store) == {}


def test_fork_of_a_dropped_outbox_does_not_affect_the_next_outbox(
    store: Store, tmp_path: Path
) -> None:
    with Outbox(tmp_path, capacity=2) as outbox:
        answer(outbox, 0, 1)
        stale = receipt_pb2.OutboxAcknowledgement(
            outbox_id=outbox.batch(ALL).batch.outbox_id, sequence=2, chain=77
        )
    with Outbox(tmp_path, capacity=2) as outbox:
        answer(outbox, 2, 3, 4)  # it holds only the last two, in a second outbox

        assert outbox.acknowledge(stale) is AcknowledgementEffect.FORKED
        effects = [acknowledge(deliver(store, outbox), outbox) for _ in range(2)]
        answer(outbox, 5)
        effects.append(acknowledge(deliver(store, outbox), outbox))

        assert effects == [[AcknowledgementEffect.SETTLED]] * 3
    assert stored(store) == [3, 4, 5]


class CopiesMachine(RuleBasedStateMachine):
    """Devices on copies of one folder, with a lossy link and acknowledgements sent to all."""

    def __init__(self) -> None:
        super().__init__()
        self.root = tempfile.TemporaryDirectory()
        self.folders = [Path(self.root.name) / "0"]
        self.outboxes = [Outbox(self.folders[0])]
        self.ledgers: dict[str, Ledger] = {}
        self.rows: Counter[int] = Counter()
        self.answered = 0
        self.memory_was_copied = False

    def pick(self, number: int) -> Outbox:
        return self.outboxes[number % len(self.outboxes)]

    @rule(number=st.integers(0, 3), count=st.integers(1, 3))
    def answer(self, number: int, count: int) -> None:
        answer(self.pick(number), *range(self.answered, self.answered + count))
        self.answered += count

    @rule(number=st.integers(0, 3))
    def restart(self, number: int) -> None:
        number %= len(self.outboxes)
        self.outboxes[number].close()
        self.outboxes[number] = Outbox(self.folders[number])

    @precondition(lambda self: len(self.outboxes) < 4)
    @rule(number=st.integers(0, 3), with_memory=st.booleans())
    def copy(self, number: int, with_memory: bool) -> None:
        """Copy a folder, as a memory card or as a virtual machine with its running process."""
        folder = Path(self.root.name) / str(len(self.folders))
        shutil.copytree(self.folders[number % len(self.outboxes)], folder)
        clone = Outbox(folder)
        if with_memory:
            clone._began = self.pick(number)._began
            self.memory_was_copied = self.memory_was_copied or clone._began
        self.folders.append(folder)
        self.outboxes.append(clone)

    @rule(number=st.integers(0, 3), limit=st.integers(1, 4), ahead=st.integers(0, 3))
    def send(self, number: int, limit: int, ahead: int) -> None:
        outbox = self.pick(number)
        self.take(outbox.batch(limit, after=outbox.marks().acknowledged + ahead).batch)

    def take(self, batch: receipt_pb2.ReceiptBatch) -> None:
        if not batch.outbox_id:
            return
        ledger = self.ledgers.setdefault(
            batch.outbox_id, Ledger(device=DEVICE, outbox_id=batch.outbox_id)
        )
        self.rows.update(row.input_index for row in ledger.take(batch).rows)

    @rule(deaf=st.sets(st.integers(0, 3)))
    def acknowledge(self, deaf: set[int]) -> None:
        for ledger in self.ledgers.values():
            message = receipt_pb2.OutboxAcknowledgement(
                outbox_id=ledger.outbox_id, sequence=ledger.contiguous, chain=ledger.chain
            )
            for number, outbox in enumerate(self.outboxes):
                if number not in deaf:
                    outbox.acknowledge(message)

    def teardown(self) -> None:
        for _ in range(200):
            if not any(outbox.marks().depth for outbox in self.outboxes):
                break
            for outbox in self.outboxes:
                self.take(outbox.batch(ALL).batch)
            self.acknowledge(set())
        assert [outbox.marks().depth for outbox in self.outboxes] == [0] * len(self.outboxes)
        assert set(self.rows) == set(range(self.answered))
        if not self.memory_was_copied:
            assert set(self.rows.values()) <= {1}
        for outbox in self.outboxes:
            outbox.close()
        self.root.cleanup()


TestCopies = CopiesMachine.TestCase
TestCopies.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
