import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nestling.v1 import receipt_pb2
from nestling_cloud.telemetry.receipts import ReceiptError
from nestling_cloud.telemetry.store import Delivery, Store, StoreError, store_url

MakeReceipt = Callable[..., receipt_pb2.Receipt]


@pytest.fixture
def make_batch(make_receipt: MakeReceipt) -> Callable[..., receipt_pb2.ReceiptBatch]:
    def make(
        *sequences: int,
        outbox: str = "outbox",
        gaps: Sequence[tuple[int, int]] = (),
        acknowledged: int = 0,
    ) -> receipt_pb2.ReceiptBatch:
        return receipt_pb2.ReceiptBatch(
            outbox_id=outbox,
            acknowledged_sequence=acknowledged,
            receipts=[make_receipt(sequence) for sequence in sequences],
            gaps=[receipt_pb2.Gap(first_sequence=a, last_sequence=b) for a, b in gaps],
        )

    return make


MakeBatch = Callable[..., receipt_pb2.ReceiptBatch]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(store_url(str(tmp_path / "receipts.sqlite"))) as opened:
        yield opened


def sequences(store: Store, device: str | None = None) -> list[int]:
    return [row.sequence for row in store.receipts(device)]


def test_receipts_come_back_as_they_went_in(store: Store, make_batch: MakeBatch) -> None:
    assert store.add("pi-1", make_batch(1, 2, 3)) == 3

    rows = list(store.receipts())
    assert [row.sequence for row in rows] == [1, 2, 3]
    assert rows[0].success == (0.5, 0.75, 1.0)
    assert rows[0].energy_provenance == "modelled"
    assert rows[0].device_answer == 3


def test_redelivered_receipts_are_counted_and_not_stored(
    store: Store, make_batch: MakeBatch
) -> None:
    store.add("pi-1", make_batch(1, 2, 3))

    assert store.add("pi-1", make_batch(2, 3, 4)) == 1

    assert sequences(store) == [1, 2, 3, 4]
    assert store.count() == 4
    assert store.redelivered() == 2


def test_a_receipt_twice_in_one_batch_is_stored_once(store: Store, make_batch: MakeBatch) -> None:
    assert store.add("pi-1", make_batch(1, 1)) == 1

    assert store.redelivered() == 1


def test_devices_and_outboxes_are_told_apart(store: Store, make_batch: MakeBatch) -> None:
    store.add("pi-1", make_batch(1, 2))
    store.add("pi-2", make_batch(1))
    store.add("pi-1", make_batch(1, outbox="after a wipe"))

    assert store.count() == 4
    assert store.redelivered() == 0
    assert sequences(store, "pi-2") == [1]
    assert store.contiguous("pi-1", "outbox") == 2
    assert store.contiguous("pi-1", "after a wipe") == 1
    assert store.contiguous("pi-3", "outbox") == 0


def test_watermark_waits_for_a_late_batch(store: Store, make_batch: MakeBatch) -> None:
    store.add("pi-1", make_batch(1, 2))
    store.add("pi-1", make_batch(5, 6))
    assert store.contiguous("pi-1", "outbox") == 2

    store.add("pi-1", make_batch(3, 4))

    assert store.contiguous("pi-1", "outbox") == 6


def test_reported_gap_is_settled_and_counted(store: Store, make_batch: MakeBatch) -> None:
    store.add("pi-1", make_batch(1))
    store.add("pi-1", make_batch(5, gaps=((2, 4),)))

    assert store.contiguous("pi-1", "outbox") == 5
    assert store.dropped() == 3


def test_gap_that_grew_replaces_the_shorter_one(store: Store, make_batch: MakeBatch) -> None:
    store.add("pi-1", make_batch(gaps=((1, 4),)))
    store.add("pi-1", make_batch(gaps=((1, 9),)))
    store.add("pi-1", make_batch(gaps=((1, 4),)))

    assert store.contiguous("pi-1", "outbox") == 9
    assert store.dropped() == 9


@pytest.mark.parametrize("gap", [(0, 3), (4, 2), (1, 2**63), (2**64 - 1, 2**64 - 1)])
def test_gap_that_makes_no_sense_is_left_out(
    store: Store, make_batch: MakeBatch, gap: tuple[int, int]
) -> None:
    assert store.add("pi-1", make_batch(1, gaps=(gap,))) == 1

    assert store.contiguous("pi-1", "outbox") == 1
    assert store.dropped() == 0


def test_wiped_store_takes_up_an_outbox_where_it_is(store: Store, make_batch: MakeBatch) -> None:
    assert store.add("pi-1", make_batch(8, 9, gaps=((6, 7),), acknowledged=5)) == 2

    assert store.contiguous("pi-1", "outbox") == 9
    assert (store.forgotten(), store.dropped()) == (5, 2)


def test_store_put_back_to_an_older_copy_goes_on_after_what_it_forgot(
    store: Store, make_batch: MakeBatch
) -> None:
    store.add("pi-1", make_batch(1, 2))
    store.add("pi-1", make_batch(7, acknowledged=6))

    assert store.contiguous("pi-1", "outbox") == 7
    assert store.forgotten() == 4


def test_what_was_acknowledged_and_is_here_is_not_forgotten(
    store: Store, make_batch: MakeBatch
) -> None:
    store.add("pi-1", make_batch(1, 2, 3))
    store.add("pi-1", make_batch(4, acknowledged=2))
    store.add("pi-1", make_batch(5, acknowledged=4))

    assert store.contiguous("pi-1", "outbox") == 5
    assert store.forgotten() == 0


def test_acknowledged_sequence_that_makes_no_sense_is_left_out(
    store: Store, make_batch: MakeBatch
) -> None:
    store.add("pi-1", make_batch(1, acknowledged=2**64 - 1))

    assert store.contiguous("pi-1", "outbox") == 1
    assert store.forgotten() == 0


def test_receipt_that_makes_no_sense_neither_poisons_its_batch_nor_blocks_the_outbox(
    store: Store, make_batch: MakeBatch
) -> None:
    batch = make_batch(1, 2, 3)
    batch.receipts[1].latency_ms = float("nan")

    assert store.add("pi-1", batch) == 2

    assert sequences(store) == [1, 3]
    assert store.rejected() == 1
    assert store.dropped() == 0
    assert store.contiguous("pi-1", "outbox") == 3


def test_receipt_without_a_sequence_is_rejected(store: Store, make_batch: MakeBatch) -> None:
    assert store.add("pi-1", make_batch(1, 0)) == 1

    assert store.rejected() == 1
    assert store.contiguous("pi-1", "outbox") == 1


@pytest.mark.parametrize("outbox", ["", "x" * 65])
def test_batch_without_a_usable_outbox_is_refused_whole(
    store: Store, make_batch: MakeBatch, outbox: str
) -> None:
    with pytest.raises(ReceiptError, match="outbox id"):
        store.add("pi-1", make_batch(1, outbox=outbox))

    assert store.count() == 0


def test_several_batches_go_in_together(store: Store, make_batch: MakeBatch) -> None:
    deliveries = [
        Delivery(device="pi-1", batch=make_batch(1, 2)),
        Delivery(device="pi-2", batch=make_batch(1)),
        Delivery(device="pi-1", batch=make_batch(2, 3)),
    ]

    added = store.add_all(deliveries)

    assert added.new == 4
    assert added.contiguous == {("pi-1", "outbox"): 3, ("pi-2", "outbox"): 1}
    assert store.contiguous("pi-1", "outbox") == 3
    assert store.redelivered() == 1


def test_reopened_store_goes_on_where_it_was(tmp_path: Path, make_batch: MakeBatch) -> None:
    url = store_url(str(tmp_path / "receipts.sqlite"))
    with Store(url) as store:
        store.add("pi-1", make_batch(1, 2))
    with Store(url) as store:
        store.add("pi-1", make_batch(2, 3))

        assert store.contiguous("pi-1", "outbox") == 3
        assert (store.count(), store.redelivered()) == (3, 1)


def test_threads_that_add_the_same_receipts_store_them_once(
    store: Store, make_batch: MakeBatch
) -> None:
    def add() -> list[int]:
        return [store.add("pi-1", make_batch(first, first + 1)) for first in range(1, 21)]

    with ThreadPoolExecutor(4) as pool:
        new = [future.result() for future in [pool.submit(add) for _ in range(4)]]

    assert sum(map(sum, new)) == store.count() == store.contiguous("pi-1", "outbox") == 21
    assert store.redelivered() == 4 * 20 * 2 - 21


def test_receipts_can_be_read_by_others_while_the_store_is_open(
    store: Store, make_batch: MakeBatch, tmp_path: Path
) -> None:
    store.add("pi-1", make_batch(1))

    other = sqlite3.connect(tmp_path / "receipts.sqlite")
    try:
        assert other.execute("SELECT device, route FROM receipts").fetchall() == [
            ("pi-1", "capacity-2")
        ]
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    finally:
        other.close()


@pytest.mark.parametrize("url", ["sqlite:////no/such/folder/x.sqlite", "nonsense://", "not a url"])
def test_store_that_cannot_be_opened_says_so(url: str) -> None:
    with pytest.raises(StoreError, match="cannot open the receipt store"):
        Store(url)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None
)
@given(
    cuts=st.lists(st.integers(1, 5), min_size=1, max_size=8),
    order=st.randoms(use_true_random=False),
    repeats=st.integers(0, 3),
)
def test_whatever_the_order_and_the_repeats_every_receipt_is_stored_once(
    tmp_path_factory: pytest.TempPathFactory,
    make_batch: MakeBatch,
    cuts: list[int],
    order: random.Random,
    repeats: int,
) -> None:
    batches, next_sequence = [], 1
    for length in cuts:
        batches.append(make_batch(*range(next_sequence, next_sequence + length)))
        next_sequence += length
    sent = batches + batches[:repeats]
    order.shuffle(sent)

    with Store(store_url(str(tmp_path_factory.mktemp("store") / "receipts.sqlite"))) as store:
        new = sum(store.add("pi-1", batch) for batch in sent)

        assert new == store.count() == store.contiguous("pi-1", "outbox") == sum(cuts)
        assert store.redelivered() == sum(cuts[:repeats])
