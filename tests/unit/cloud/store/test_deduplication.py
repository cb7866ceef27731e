import random

from hypothesis import given
from hypothesis import strategies as st

from nestling_cloud.store.deduplication import FARTHEST_AHEAD, Ledger
from tests.support.receipts import make_batch


def ledger() -> Ledger:
    return Ledger(device="pi-1", outbox_id="outbox")


def test_settled_receipt_is_not_new_even_if_its_row_was_deleted() -> None:
    known = Ledger(device="pi-1", outbox_id="outbox", contiguous=7, highest=7)

    effect = known.take(make_batch(6, 7, 8))

    assert [row.sequence for row in effect.rows] == [8]
    assert (known.contiguous, known.highest, known.redelivered) == (8, 8, 2)


def test_repeated_invalid_receipt_is_rejected_once() -> None:
    known, batch = ledger(), make_batch(1, 2, latency_ms=-1.0)

    first, second = known.take(batch), known.take(batch)

    assert (len(first.gaps), len(second.gaps)) == (2, 0)
    assert (known.contiguous, known.rejected, known.redelivered) == (2, 2, 2)


def test_receipts_beyond_a_hole_are_remembered() -> None:
    known = ledger()
    known.take(make_batch(3, 4))

    assert (known.contiguous, known.highest, set(known.beyond)) == (0, 4, {3, 4})
    assert known.take(make_batch(4)).rows == []

    known.take(make_batch(1, 2))

    assert (known.contiguous, known.highest, known.beyond) == (4, 4, {})


def test_receipts_far_beyond_a_hole_are_ignored() -> None:
    known = ledger()

    effect = known.take(make_batch(FARTHEST_AHEAD, FARTHEST_AHEAD + 1))

    assert [row.sequence for row in effect.rows] == [FARTHEST_AHEAD]
    assert known.redelivered == 0


def test_gaps_far_beyond_a_hole_are_ignored_even_in_large_numbers() -> None:
    known = ledger()
    many = [(2 * number + 3, 2 * number + 3) for number in range(FARTHEST_AHEAD)]
    again = [(3, 3 + number % 2) for number in range(FARTHEST_AHEAD)]

    effect = known.take(make_batch(gaps=many + again))

    assert len(effect.gaps) == FARTHEST_AHEAD // 2 - 1
    assert max(gap.first for gap, _ in effect.gaps) <= FARTHEST_AHEAD
    assert known.contiguous == 0


def test_wiped_store_accepts_the_gap_after_its_forgotten_receipts_in_the_same_batch() -> None:
    known = ledger()
    last = 5 * FARTHEST_AHEAD

    known.take(make_batch(acknowledged=last, gaps=[(last + 1, last + 7)]))

    assert known.contiguous == last + 7


def test_gap_settles_the_receipts_after_it_in_the_same_batch() -> None:
    known = ledger()

    effect = known.take(make_batch(10**6, gaps=((1, 10**6 - 1),)))

    assert len(effect.rows) == 1
    assert known.contiguous == known.highest == 10**6


@given(
    sent=st.lists(st.lists(st.integers(1, 12), max_size=6), max_size=12),
    gaps=st.lists(st.tuples(st.integers(1, 12), st.integers(0, 3)), max_size=3),
    order=st.randoms(use_true_random=False),
)
def test_every_sequence_is_new_at_most_once_and_counts_add_up(
    sent: list[list[int]], gaps: list[tuple[int, int]], order: random.Random
) -> None:
    batches = [make_batch(*sequences) for sequences in sent]
    batches += [make_batch(gaps=((first, first + length),)) for first, length in gaps]
    order.shuffle(batches)
    known = ledger()

    new = [row.sequence for batch in batches for row in known.take(batch).rows]

    assert len(new) == len(set(new))
    assert len(new) + known.redelivered == sum(map(len, sent))
    lost = {n for first, length in gaps for n in range(first, first + length + 1)}
    settled = {n for sequences in sent for n in sequences} | lost
    assert known.contiguous == next(n for n in range(1, 99) if n not in settled) - 1
    assert set(known.beyond) == {n for n in new if n > known.contiguous}
    assert known.highest == max(settled, default=0)
