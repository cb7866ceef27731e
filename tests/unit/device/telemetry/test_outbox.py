import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from nestling.v1 import receipt_pb2
from nestling_device.telemetry.outbox import AcknowledgementEffect, Outbox
from tests.support.receipts import acknowledgement

CAPACITY = 7


def receipt(index: int) -> receipt_pb2.Receipt:
    return receipt_pb2.Receipt(input_index=index)


def indices(batch: receipt_pb2.ReceiptBatch) -> list[int]:
    return [entry.input_index for entry in batch.receipts]


def gaps(batch: receipt_pb2.ReceiptBatch) -> list[tuple[int, int]]:
    return [(gap.first_sequence, gap.last_sequence) for gap in batch.gaps]


def test_receipts_are_numbered_from_one_and_returned_in_order(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        assert outbox.append(receipt(10)) == 1
        assert outbox.append(receipt(11), receipt(12)) == 3

        batch = outbox.batch(2).batch

    assert indices(batch) == [10, 11]
    assert [entry.sequence for entry in batch.receipts] == [1, 2]


def test_outbox_keeps_its_id_and_its_receipts_when_reopened(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append(receipt(10))
        before = outbox.batch(10).batch

    with Outbox(tmp_path) as outbox:
        assert before == outbox.batch(10).batch


def test_two_outboxes_have_different_ids(tmp_path: Path) -> None:
    with Outbox(tmp_path / "a") as a, Outbox(tmp_path / "b") as b:
        a.append(receipt(1))
        b.append(receipt(1))

        assert a.batch(1).batch.outbox_id != b.batch(1).batch.outbox_id


def test_appending_does_not_change_the_callers_receipt(tmp_path: Path) -> None:
    mine = receipt(1)
    with Outbox(tmp_path) as outbox:
        outbox.append(mine)

    assert receipt(1) == mine


def test_full_outbox_drops_the_oldest_and_reports_one_gap(tmp_path: Path) -> None:
    with Outbox(tmp_path, capacity=3) as outbox:
        for index in range(5):
            outbox.append(receipt(index))
        batch = outbox.batch(10).batch

        assert (indices(batch), gaps(batch)) == ([2, 3, 4], [(1, 2)])
        assert outbox.marks().depth == 3


def test_gap_is_in_every_batch_until_it_is_acknowledged(tmp_path: Path) -> None:
    with Outbox(tmp_path, capacity=3) as outbox:
        outbox.append(*(receipt(index) for index in range(5)))

        assert gaps(outbox.batch(1, after=4).batch) == [(1, 2)]
        outbox.acknowledge(acknowledgement(outbox, 3))

        assert (indices(outbox.batch(9).batch), gaps(outbox.batch(9).batch)) == ([3, 4], [])


def test_acknowledgement_inside_a_gap_leaves_the_rest_of_the_gap(tmp_path: Path) -> None:
    with Outbox(tmp_path, capacity=3) as outbox:
        outbox.append(*(receipt(index) for index in range(9)))
        outbox.acknowledge(acknowledgement(outbox, 2))

        assert gaps(outbox.batch(9).batch) == [(3, 6)]


@pytest.mark.parametrize(("outbox_id", "sequence"), [("another", 1), ("another", 9), (None, 0)])
def test_acknowledgement_for_another_outbox_or_of_nothing_is_ignored(
    tmp_path: Path, outbox_id: str | None, sequence: int
) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append(receipt(0), receipt(1))
        wrong = acknowledgement(outbox, sequence)
        wrong.outbox_id = outbox_id or wrong.outbox_id

        before = outbox.batch(9).batch

        assert outbox.acknowledge(wrong) is AcknowledgementEffect.IGNORED
        assert before == outbox.batch(9).batch


def test_old_acknowledgement_is_ignored(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append(receipt(0), receipt(1))

        old, new = acknowledgement(outbox, 1), acknowledgement(outbox, 2)

        assert outbox.acknowledge(new) is AcknowledgementEffect.SETTLED
        assert outbox.acknowledge(old) is AcknowledgementEffect.IGNORED
        assert outbox.marks().acknowledged == 2


def test_batch_contains_the_acknowledged_sequence(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append(*(receipt(index) for index in range(5)))
        assert outbox.batch(9).batch.acknowledged_sequence == 0

        outbox.acknowledge(acknowledgement(outbox, 3))

        assert outbox.batch(9).batch.acknowledged_sequence == 3


def test_acknowledgement_of_unwritten_receipts_forks_the_outbox(tmp_path: Path) -> None:
    with Outbox(tmp_path, capacity=3) as outbox:
        outbox.append(*(receipt(index) for index in range(7)))
        outbox.acknowledge(acknowledgement(outbox, 2))
        restored = outbox.batch(9).batch
        assert (indices(restored), gaps(restored)) == ([4, 5, 6], [(3, 4)])

        assert outbox.acknowledge(acknowledgement(outbox, 8)) is AcknowledgementEffect.FORKED

        after = outbox.batch(9).batch
        assert after.outbox_id != restored.outbox_id
        assert (indices(after), gaps(after)) == ([4, 5, 6], [(1, 2)])
        assert [entry.sequence for entry in after.receipts] == [3, 4, 5]
        assert after.acknowledged_sequence == 0
        assert (after.previous_outbox_id, after.forked) == (restored.outbox_id, True)
        outbox.append(receipt(7))
        assert outbox.batch(9).batch.receipts[-1].sequence == 6


def test_forked_outbox_keeps_its_id_and_can_be_acknowledged(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append(*(receipt(index) for index in range(3)))
        outbox.acknowledge(acknowledgement(outbox, 99))
        outbox_id = outbox.batch(9).batch.outbox_id

    with Outbox(tmp_path) as outbox:
        assert outbox.batch(9).batch.outbox_id == outbox_id
        assert outbox.acknowledge(acknowledgement(outbox, 3)) is AcknowledgementEffect.SETTLED
        assert outbox.marks().depth == 0


def test_sequences_continue_after_everything_is_acknowledged(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append(receipt(0))
        outbox.acknowledge(acknowledgement(outbox, 1))

    with Outbox(tmp_path) as outbox:
        assert outbox.append(receipt(1)) == 2


def test_capacity_of_zero_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Outbox(tmp_path, capacity=0)


class OutboxMachine(RuleBasedStateMachine):
    """After any operations every receipt is either held, acknowledged or in a gap."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.outbox = Outbox(Path(self.folder.name), capacity=CAPACITY)
        self.appended = 0
        self.acknowledged = 0

    @rule(count=st.integers(1, 2 * CAPACITY))
    def append(self, count: int) -> None:
        self.outbox.append(*(receipt(self.appended + n) for n in range(1, count + 1)))
        self.appended += count

    @rule(share=st.floats(0, 1))
    def acknowledge(self, share: float) -> None:
        waiting = self.outbox.batch(10 * CAPACITY)
        within = len(waiting.batch.receipts) + sum(
            gap.last_sequence - gap.first_sequence + 1 for gap in waiting.batch.gaps
        )
        settled = round(share * within)
        sequence = waiting.batch.acknowledged_sequence + settled
        done = self.outbox.acknowledge(acknowledgement(self.outbox, sequence))
        assert done is (AcknowledgementEffect.SETTLED if settled else AcknowledgementEffect.IGNORED)
        self.acknowledged += settled

    @rule()
    def reopen(self) -> None:
        self.outbox.close()
        self.outbox = Outbox(Path(self.folder.name), capacity=CAPACITY)

    @invariant()
    def everything_is_accounted_for(self) -> None:
        dropped, held, after = 0, [], self.acknowledged
        while after < self.outbox.marks().last:
            batch, first, last, depth = self.outbox.batch(10 * CAPACITY, after=after)
            assert last > after
            assert depth == self.outbox.marks().depth - len(batch.receipts)
            for gap in batch.gaps:
                dropped += gap.last_sequence - gap.first_sequence + 1
            assert [entry.sequence - batch.receipts[0].sequence for entry in batch.receipts] == [
                *range(len(batch.receipts))
            ]
            held += indices(batch)
            assert not batch.receipts or batch.receipts[0].input_index == first
            after = last
        waiting = self.appended - self.acknowledged
        assert held == [*range(self.appended + 1 - len(held), self.appended + 1)]
        assert dropped + len(held) == waiting
        assert min(CAPACITY, waiting) == len(held) == self.outbox.marks().depth

    def teardown(self) -> None:
        self.outbox.close()
        self.folder.cleanup()


TestOutboxMachine = OutboxMachine.TestCase
TestOutboxMachine.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
