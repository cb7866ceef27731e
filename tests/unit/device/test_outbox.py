import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from nestling.v1 import receipt_pb2
from nestling_device.outbox import Outbox

CAPACITY = 7


def receipt(index: int) -> receipt_pb2.Receipt:
    return receipt_pb2.Receipt(input_index=index)


def acknowledgement(outbox: Outbox, sequence: int) -> receipt_pb2.OutboxAcknowledgement:
    return receipt_pb2.OutboxAcknowledgement(outbox_id=outbox.outbox_id, sequence=sequence)


def indices(batch: receipt_pb2.ReceiptBatch) -> list[int]:
    return [entry.input_index for entry in batch.receipts]


def gaps(batch: receipt_pb2.ReceiptBatch) -> list[tuple[int, int]]:
    return [(gap.first_sequence, gap.last_sequence) for gap in batch.gaps]


def test_receipts_are_numbered_from_one_and_come_back_in_order(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        assert outbox.append(receipt(10)) == 1
        assert range(2, 4) == outbox.append_many([receipt(11), receipt(12)])

        batch = outbox.batch(2)

    assert indices(batch) == [10, 11]
    assert [entry.sequence for entry in batch.receipts] == [1, 2]


def test_outbox_keeps_its_id_and_its_receipts_when_reopened(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append(receipt(10))
        before = outbox.batch(10)

    with Outbox(tmp_path) as outbox:
        assert before == outbox.batch(10)


def test_two_outboxes_have_different_ids(tmp_path: Path) -> None:
    with Outbox(tmp_path / "a") as a, Outbox(tmp_path / "b") as b:
        assert a.outbox_id != b.outbox_id


def test_appending_leaves_the_callers_receipt_alone(tmp_path: Path) -> None:
    mine = receipt(1)
    with Outbox(tmp_path) as outbox:
        outbox.append(mine)

    assert receipt(1) == mine


def test_full_outbox_drops_the_oldest_and_reports_one_gap(tmp_path: Path) -> None:
    with Outbox(tmp_path, capacity=3) as outbox:
        for index in range(5):
            outbox.append(receipt(index))
        batch = outbox.batch(10)

        assert (indices(batch), gaps(batch)) == ([2, 3, 4], [(1, 2)])
        assert outbox.depth == 3


def test_gap_travels_with_every_batch_until_it_is_acknowledged(tmp_path: Path) -> None:
    with Outbox(tmp_path, capacity=3) as outbox:
        outbox.append_many([receipt(index) for index in range(5)])

        assert gaps(outbox.batch(1, after=4)) == [(1, 2)]
        outbox.acknowledge(acknowledgement(outbox, 3))

        assert (indices(outbox.batch(9)), gaps(outbox.batch(9))) == ([3, 4], [])


def test_acknowledgement_inside_a_gap_leaves_the_rest_of_the_gap(tmp_path: Path) -> None:
    with Outbox(tmp_path, capacity=3) as outbox:
        outbox.append_many([receipt(index) for index in range(9)])
        outbox.acknowledge(acknowledgement(outbox, 2))

        assert gaps(outbox.batch(9)) == [(3, 6)]


@pytest.mark.parametrize(("outbox_id", "sequence"), [("another", 1), ("another", 9), (None, 0)])
def test_acknowledgement_that_cannot_be_ours_is_ignored(
    tmp_path: Path, outbox_id: str | None, sequence: int
) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append_many([receipt(0), receipt(1)])
        given = acknowledgement(outbox, sequence)
        given.outbox_id = outbox_id or given.outbox_id

        before = outbox.batch(9)

        assert not outbox.acknowledge(given)
        assert before == outbox.batch(9)


def test_old_acknowledgement_is_no_news(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append_many([receipt(0), receipt(1)])

        assert outbox.acknowledge(acknowledgement(outbox, 2))
        assert not outbox.acknowledge(acknowledgement(outbox, 1))
        assert outbox.acknowledged == 2


def test_batch_says_what_was_acknowledged_before(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append_many([receipt(index) for index in range(5)])
        assert outbox.batch(9).acknowledged_sequence == 0

        outbox.acknowledge(acknowledgement(outbox, 3))

        assert outbox.batch(9).acknowledged_sequence == 3


def test_acknowledgement_of_what_was_never_written_makes_it_another_outbox(tmp_path: Path) -> None:
    with Outbox(tmp_path, capacity=3) as outbox:
        outbox.append_many([receipt(index) for index in range(7)])
        outbox.acknowledge(acknowledgement(outbox, 2))
        restored = outbox.batch(9)
        assert (indices(restored), gaps(restored)) == ([4, 5, 6], [(3, 4)])

        assert not outbox.acknowledge(acknowledgement(outbox, 8))

        after = outbox.batch(9)
        assert after.outbox_id != restored.outbox_id
        assert (indices(after), gaps(after)) == ([4, 5, 6], [(1, 2)])
        assert [entry.sequence for entry in after.receipts] == [3, 4, 5]
        assert after.acknowledged_sequence == 0
        assert outbox.append(receipt(7)) == 6


def test_outbox_that_began_again_stays_so_and_is_emptied_as_any_other(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append_many([receipt(index) for index in range(3)])
        outbox.acknowledge(acknowledgement(outbox, 99))
        outbox_id = outbox.outbox_id

    with Outbox(tmp_path) as outbox:
        assert outbox.outbox_id == outbox_id
        assert outbox.acknowledge(acknowledgement(outbox, 3))
        assert outbox.depth == 0


def test_sequences_go_on_after_everything_is_acknowledged(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.append(receipt(0))
        outbox.acknowledge(acknowledgement(outbox, 1))

    with Outbox(tmp_path) as outbox:
        assert outbox.append(receipt(1)) == 2


def test_no_capacity_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Outbox(tmp_path, capacity=0)


class OutboxMachine(RuleBasedStateMachine):
    """Whatever happens: every receipt is held, acknowledged, or in a gap; never two of these."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.outbox = Outbox(Path(self.folder.name), capacity=CAPACITY)
        self.appended = 0
        self.acknowledged = 0

    @rule(count=st.integers(0, 2 * CAPACITY))
    def append(self, count: int) -> None:
        self.outbox.append_many([receipt(self.appended + n) for n in range(1, count + 1)])
        self.appended += count

    @rule(share=st.floats(0, 1))
    def acknowledge(self, share: float) -> None:
        sequence = self.acknowledged + round(share * (self.appended - self.acknowledged))
        self.outbox.acknowledge(acknowledgement(self.outbox, sequence))
        self.acknowledged = sequence

    @rule()
    def reopen(self) -> None:
        self.outbox.close()
        self.outbox = Outbox(Path(self.folder.name), capacity=CAPACITY)

    @invariant()
    def everything_is_accounted_for(self) -> None:
        batch = self.outbox.batch(10 * CAPACITY)
        dropped = [n for first, last in gaps(batch) for n in range(first, last + 1)]
        held = [entry.sequence for entry in batch.receipts]
        assert [*range(self.acknowledged + 1, self.appended + 1)] == dropped + held
        assert held == indices(batch)
        assert min(CAPACITY, self.appended - self.acknowledged) == len(held) == self.outbox.depth

    def teardown(self) -> None:
        self.outbox.close()
        self.folder.cleanup()


TestOutboxMachine = OutboxMachine.TestCase
TestOutboxMachine.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
