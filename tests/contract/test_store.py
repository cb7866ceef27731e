"""The store keeps every receipt exactly once on every database."""

import random
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nestling_cloud.store import tables
from nestling_cloud.store.deduplication import FARTHEST_AHEAD
from nestling_cloud.store.delivery import Delivery
from nestling_cloud.store.receipt_validation import ReceiptError
from nestling_cloud.store.retention import Retention
from nestling_cloud.store.store import Store
from tests.support.receipts import make_batch
from tests.support.stored import add_batch, count_receipts, count_redelivered, losses, settled_to


def sequences(store: Store, device: str | None = None) -> list[int]:
    return [row.sequence for row in store.receipts(device)]


def test_receipts_come_back_as_they_went_in(store: Store) -> None:
    assert add_batch(store, "pi-1", make_batch(1, 2, 3)) == 3

    rows = list(store.receipts())
    assert [row.sequence for row in rows] == [1, 2, 3]
    assert rows[0].success == (0.5, 0.75, 1.0)
    assert rows[0].energy_provenance == "modelled"
    assert rows[0].device_answer == 3


def test_redelivered_receipts_are_counted_and_not_stored(store: Store) -> None:
    add_batch(store, "pi-1", make_batch(1, 2, 3))

    assert add_batch(store, "pi-1", make_batch(2, 3, 4)) == 1

    assert sequences(store) == [1, 2, 3, 4]
    assert count_receipts(store) == 4
    assert count_redelivered(store) == 2


def test_receipt_twice_in_one_batch_is_stored_once(store: Store) -> None:
    assert add_batch(store, "pi-1", make_batch(1, 1)) == 1

    assert count_redelivered(store) == 1


def test_devices_and_outboxes_are_distinguished(store: Store) -> None:
    add_batch(store, "pi-1", make_batch(1, 2))
    add_batch(store, "pi-2", make_batch(1))
    add_batch(store, "pi-1", make_batch(1, outbox="after a wipe"))

    assert count_receipts(store) == 4
    assert count_redelivered(store) == 0
    assert sequences(store, "pi-2") == [1]
    assert settled_to(store, "pi-1", "outbox") == 2
    assert settled_to(store, "pi-1", "after a wipe") == 1
    assert settled_to(store, "pi-3", "outbox") == 0


def test_watermark_waits_for_a_late_batch(store: Store) -> None:
    add_batch(store, "pi-1", make_batch(1, 2))
    add_batch(store, "pi-1", make_batch(5, 6))
    assert settled_to(store, "pi-1", "outbox") == 2

    add_batch(store, "pi-1", make_batch(3, 4))

    assert settled_to(store, "pi-1", "outbox") == 6


def test_reported_gap_is_settled_and_counted(store: Store) -> None:
    add_batch(store, "pi-1", make_batch(1))
    add_batch(store, "pi-1", make_batch(5, gaps=((2, 4),)))

    assert settled_to(store, "pi-1", "outbox") == 5
    assert losses(store).dropped == 3


def test_longer_gap_replaces_the_shorter_one(store: Store) -> None:
    add_batch(store, "pi-1", make_batch(gaps=((1, 4),)))
    add_batch(store, "pi-1", make_batch(gaps=((1, 9),)))
    add_batch(store, "pi-1", make_batch(gaps=((1, 4),)))

    assert settled_to(store, "pi-1", "outbox") == 9
    assert losses(store).dropped == 9


@pytest.mark.parametrize("gap", [(0, 3), (4, 2), (1, 2**63), (2**64 - 1, 2**64 - 1)])
def test_invalid_gap_is_ignored(store: Store, gap: tuple[int, int]) -> None:
    assert add_batch(store, "pi-1", make_batch(1, gaps=(gap,))) == 1

    assert settled_to(store, "pi-1", "outbox") == 1
    assert losses(store).dropped == 0


def test_wiped_store_continues_an_outbox_where_it_is(store: Store) -> None:
    assert add_batch(store, "pi-1", make_batch(8, 9, gaps=((6, 7),), acknowledged=5)) == 2

    assert settled_to(store, "pi-1", "outbox") == 9
    assert (losses(store).forgotten, losses(store).dropped) == (5, 2)


def test_restored_store_continues_after_its_forgotten_receipts(store: Store) -> None:
    add_batch(store, "pi-1", make_batch(1, 2))
    add_batch(store, "pi-1", make_batch(7, acknowledged=6))

    assert settled_to(store, "pi-1", "outbox") == 7
    assert losses(store).forgotten == 4


def test_stored_receipts_do_not_count_as_forgotten(store: Store) -> None:
    add_batch(store, "pi-1", make_batch(1, 2, 3))
    add_batch(store, "pi-1", make_batch(4, acknowledged=2))
    add_batch(store, "pi-1", make_batch(5, acknowledged=4))

    assert settled_to(store, "pi-1", "outbox") == 5
    assert losses(store).forgotten == 0


def test_invalid_acknowledged_sequence_is_ignored(store: Store) -> None:
    add_batch(store, "pi-1", make_batch(1, acknowledged=2**64 - 1))

    assert settled_to(store, "pi-1", "outbox") == 1
    assert losses(store).forgotten == 0


def test_invalid_receipt_neither_spoils_its_batch_nor_blocks_the_outbox(
    store: Store,
) -> None:
    batch = make_batch(1, 2, 3)
    batch.receipts[1].latency_ms = float("nan")

    assert add_batch(store, "pi-1", batch) == 2

    assert sequences(store) == [1, 3]
    assert losses(store).rejected == 1
    assert losses(store).dropped == 0
    assert settled_to(store, "pi-1", "outbox") == 3


def test_receipt_without_a_sequence_is_rejected(store: Store) -> None:
    assert add_batch(store, "pi-1", make_batch(1, 0)) == 1

    assert losses(store).rejected == 1
    assert settled_to(store, "pi-1", "outbox") == 1


@pytest.mark.parametrize("outbox", ["", "x" * 65, "nul\0"])
def test_batch_without_a_valid_outbox_id_is_rejected(store: Store, outbox: str) -> None:
    with pytest.raises(ReceiptError, match="outbox id"):
        add_batch(store, "pi-1", make_batch(1, outbox=outbox))

    assert count_receipts(store) == 0


def test_several_batches_are_stored_together(store: Store) -> None:
    deliveries = [
        Delivery(device="pi-1", batch=make_batch(1, 2)),
        Delivery(device="pi-2", batch=make_batch(1)),
        Delivery(device="pi-1", batch=make_batch(2, 3)),
    ]

    added = store.add_all(deliveries)

    assert added.new == 4
    assert added.contiguous == {("pi-1", "outbox"): 3, ("pi-2", "outbox"): 1}
    assert settled_to(store, "pi-1", "outbox") == 3
    assert count_redelivered(store) == 1


def test_reopened_store_continues_where_it_was(database: str) -> None:
    with Store(database) as store:
        add_batch(store, "pi-1", make_batch(1, 2))
    with Store(database) as store:
        add_batch(store, "pi-1", make_batch(2, 3))

        assert settled_to(store, "pi-1", "outbox") == 3
        assert (count_receipts(store), count_redelivered(store)) == (3, 1)


def test_threads_that_add_the_same_receipts_store_them_once(store: Store) -> None:
    def add() -> list[int]:
        return [add_batch(store, "pi-1", make_batch(first, first + 1)) for first in range(1, 21)]

    with ThreadPoolExecutor(4) as pool:
        new = [future.result() for future in [pool.submit(add) for _ in range(4)]]

    assert sum(map(sum, new)) == count_receipts(store) == settled_to(store, "pi-1", "outbox") == 21
    assert count_redelivered(store) == 4 * 20 * 2 - 21


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None
)
@given(
    cuts=st.lists(st.integers(1, 5), min_size=1, max_size=8),
    order=st.randoms(use_true_random=False),
    repeats=st.integers(0, 3),
)
def test_every_receipt_is_stored_once_in_any_order_with_any_repeats(
    store: Store,
    cuts: list[int],
    order: random.Random,
    repeats: int,
) -> None:
    outbox = uuid.uuid4().hex
    batches, next_sequence = [], 1
    for length in cuts:
        sequences = range(next_sequence, next_sequence + length)
        batches.append(make_batch(*sequences, outbox=outbox))
        next_sequence += length
    sent = batches + batches[:repeats]
    order.shuffle(sent)
    count, redelivered = count_receipts(store), count_redelivered(store)

    new = sum(add_batch(store, "pi-1", batch) for batch in sent)

    assert new == count_receipts(store) - count == settled_to(store, "pi-1", outbox) == sum(cuts)
    assert count_redelivered(store) - redelivered == sum(cuts[:repeats])


def test_stores_of_one_database_store_the_same_receipts_once(database: str) -> None:
    def add(number: int) -> int:
        with Store(database) as store:
            batches = (make_batch(first, first + 1) for first in range(1, 21))
            return sum(add_batch(store, "pi-1", batch) for batch in batches)

    with Store(database) as store:
        with ThreadPoolExecutor(3) as pool:
            new = list(pool.map(add, range(3)))

        assert sum(new) == count_receipts(store) == settled_to(store, "pi-1", "outbox") == 21
        assert sequences(store) == list(range(1, 22))
        assert count_redelivered(store) == 3 * 20 * 2 - 21


def test_newest_receipts_are_retained_and_all_are_counted(database: str) -> None:
    with Store(database, retention=Retention(receipts=5)) as store:
        for first in range(1, 21, 4):
            add_batch(store, "pi-1", make_batch(*range(first, first + 4)))

        assert sequences(store) == [16, 17, 18, 19, 20]
        assert count_receipts(store) == 20


def test_receipt_that_left_the_retention_window_is_not_stored_again(database: str) -> None:
    with Store(database, retention=Retention(receipts=2)) as store:
        add_batch(store, "pi-1", make_batch(1, 2, 3, 4))
        assert sequences(store) == [3, 4]

        assert add_batch(store, "pi-1", make_batch(1, 2, 3, 4, 5)) == 1

        assert (count_receipts(store), count_redelivered(store)) == (5, 4)
        assert sequences(store) == [4, 5]


def test_receipt_beyond_a_hole_is_retained_until_the_hole_is_settled(database: str) -> None:
    with Store(database, retention=Retention(receipts=2)) as store:
        add_batch(store, "pi-1", make_batch(3))
        add_batch(store, "pi-2", make_batch(1, 2, 3))
        assert sequences(store, "pi-1") == [3]

        assert add_batch(store, "pi-1", make_batch(1, 2, 3)) == 2

        assert settled_to(store, "pi-1", "outbox") == 3
        assert count_redelivered(store) == 1
        add_batch(store, "pi-2", make_batch(4, 5))
        assert sequences(store, "pi-1") == []


def test_smaller_retention_window_takes_effect_as_receipts_arrive(database: str) -> None:
    with Store(database) as store:
        add_batch(store, "pi-1", make_batch(*range(1, 601)))
    with Store(database, retention=Retention(receipts=10)) as store:
        add_batch(store, "pi-1", make_batch(601))
        add_batch(store, "pi-1", make_batch(602))

        assert sequences(store) == list(range(593, 603))


def test_receipt_far_beyond_a_hole_is_ignored_until_repeated(store: Store) -> None:
    far = FARTHEST_AHEAD + 2
    add_batch(store, "pi-1", make_batch(1))

    assert add_batch(store, "pi-1", make_batch(far)) == 0
    assert (count_receipts(store), count_redelivered(store), losses(store).rejected) == (1, 0, 0)

    assert add_batch(store, "pi-1", make_batch(far, gaps=((2, far - 1),))) == 1
    assert settled_to(store, "pi-1", "outbox") == far


def test_gaps_whose_sum_overflows_an_integer_are_counted(store: Store) -> None:
    for device in ("pi-1", "pi-2"):
        add_batch(store, device, make_batch(gaps=((1, 2**63 - 1),)))

    assert losses(store).dropped == 2**64


def test_text_that_no_database_accepts_is_rejected_without_blocking_the_outbox(
    store: Store,
) -> None:
    batch = make_batch(1, 2)
    batch.receipts[0].bundle_version = "tiny\0"

    assert add_batch(store, "pi-1", batch) == 1
    assert settled_to(store, "pi-1", "outbox") == 2


def test_old_sums_are_deleted_with_new_receipts_and_hourly_ones_stay(database: str) -> None:
    retention = Retention(
        fleet_ms={10_000: 60_000, 60_000: 600_000, 3_600_000: None},
        device_ms={60_000: 600_000, 3_600_000: None},
    )
    now_ms = time.time_ns() // 1_000_000
    with Store(database) as store:
        add_batch(store, "pi-1", make_batch(1, answered_at_ms=now_ms - 3_600_000))
        assert sums(store) == [1, 1, 1, 1, 1]
    with Store(database, retention=retention) as store:
        add_batch(store, "pi-1", make_batch(2, answered_at_ms=now_ms - 7_200_000))
        assert sums(store) == [0, 0, 2, 0, 2]

        add_batch(store, "pi-1", make_batch(3, answered_at_ms=now_ms))

        assert sums(store) == [1, 1, 3, 1, 3]


def sums(store: Store) -> list[int]:
    """Return the number of rows in each rollup, the fleet's first."""
    rollups = [*tables.FLEET_ROLLUPS.values(), *tables.DEVICE_ROLLUPS.values()]
    with store.reading() as connection:
        counts = (sa.select(sa.func.count()).select_from(table) for table in rollups)
        return [connection.execute(count).scalar_one() for count in counts]
