"""Stored inputs are found, labeled and deleted, on every database."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from nestling.v1 import receipt_pb2
from nestling_cloud.store.hard_inputs import HardInput, HardInputs
from nestling_cloud.store.labeled_inputs import InputFilter, LabeledInputs, StoredInput
from nestling_cloud.store.store import Store
from nestling_core.kinds.kind import Answer
from tests.support.receipts import NOW_MS, make_receipt
from tests.support.stored import add_batch

EVERY = InputFilter()


def hard_input(index: int, device: str = "pi-1", task: str = "hand") -> HardInput:
    return HardInput(
        device=device,
        task=task,
        received_at_ms=NOW_MS + index,
        input_index=index,
        values=bytes([index]) * 24,
        shape=(2, 3),
        device_answer=Answer(0),
        cloud_answer=Answer(2),
    )


def stored(store: Store, *inputs: HardInput) -> list[int]:
    """Store inputs, and return the ids of all, oldest first."""
    HardInputs(store).add_all(inputs)
    return sorted(one.id for one in LabeledInputs(store).all(EVERY))


def one(store: Store, number: int) -> StoredInput:
    found = LabeledInputs(store).find(number)
    assert found is not None
    return found


def test_label_is_stored_with_its_author_and_time(store: Store) -> None:
    (number,) = stored(store, hard_input(1))

    changed = LabeledInputs(store).label(number, "c", by="token ann", now_ms=5)

    found = one(store, number)
    assert changed == found
    assert (found.label, found.labeled_by, found.labeled_at_ms) == ("c", "token ann", 5)
    assert (found.device, found.task, found.input_index, found.shape) == ("pi-1", "hand", 1, (2, 3))
    assert LabeledInputs(store).values(number) == bytes([1]) * 24


def test_same_label_again_changes_nothing_and_another_one_replaces_it(store: Store) -> None:
    (number,) = stored(store, hard_input(1))
    labels = LabeledInputs(store)
    labels.label(number, "c", by="ann", now_ms=5)

    labels.label(number, "c", by="bob", now_ms=6)
    assert (one(store, number).labeled_by, one(store, number).labeled_at_ms) == ("ann", 5)

    labels.label(number, "b", by="bob", now_ms=7)
    assert (one(store, number).label, one(store, number).labeled_by) == ("b", "bob")


def test_removed_label_leaves_no_author(store: Store) -> None:
    (number,) = stored(store, hard_input(1))
    labels = LabeledInputs(store)
    labels.label(number, "c", by="ann", now_ms=5)

    for _ in range(2):
        changed = labels.unlabel(number)
        assert changed is not None
        assert (changed.label, changed.labeled_by, changed.labeled_at_ms) == (None, None, None)


def test_label_of_an_unknown_input_is_none(store: Store) -> None:
    labels = LabeledInputs(store)

    assert labels.label(7, "c", by="ann", now_ms=5) is None
    assert labels.unlabel(7) is None
    assert labels.find(7) is None
    assert labels.values(7) is None


def test_labels_given_at_once_are_all_stored_whole(store: Store) -> None:
    numbers = stored(store, *(hard_input(index) for index in range(8)))
    labels = LabeledInputs(store)

    with ThreadPoolExecutor(8) as pool:
        for by in ("ann", "bob"):
            for number in numbers:
                pool.submit(labels.label, number, f"{by}'s", by=by, now_ms=5)

    found = {(each.label, each.labeled_by) for each in labels.all(EVERY)}
    assert found <= {("ann's", "ann"), ("bob's", "bob")}
    assert labels.count(InputFilter(labeled=True)) == 8


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (EVERY, [4, 3, 2, 1]),
        (InputFilter(device="pi-2"), [4, 3]),
        (InputFilter(task="other"), [4]),
        (InputFilter(labeled=True), [2]),
        (InputFilter(labeled=False), [4, 3, 1]),
        (InputFilter(since_ms=NOW_MS + 3), [4, 3]),
        (InputFilter(until_ms=NOW_MS + 3, device="pi-1"), [2, 1]),
    ],
)
def test_inputs_are_filtered(store: Store, chosen: InputFilter, expected: list[int]) -> None:
    numbers = stored(
        store,
        hard_input(1),
        hard_input(2),
        hard_input(3, "pi-2"),
        hard_input(4, "pi-2", "other"),
    )
    labels = LabeledInputs(store)
    labels.label(numbers[1], "c", by="ann", now_ms=5)

    assert [each.input_index for each in labels.all(chosen)] == expected
    assert labels.count(chosen) == len(expected)


def test_pages_follow_one_another(store: Store) -> None:
    stored(store, *(hard_input(index) for index in range(5)))
    labels = LabeledInputs(store)

    first, following = labels.page(EVERY, limit=3)
    second, end = labels.page(EVERY, limit=3, before=following)

    assert [each.input_index for each in first + second] == [4, 3, 2, 1, 0]
    assert end is None


def test_labeled_input_outlives_the_limit_of_a_device(store: Store) -> None:
    limited = HardInputs(store, per_device=2, in_all=3)
    limited.add_all([hard_input(0)])
    labels = LabeledInputs(store)
    (number,) = (each.id for each in labels.all(EVERY))
    labels.label(number, "c", by="ann", now_ms=5)

    limited.add_all([hard_input(index) for index in range(1, 5)])

    assert [each.input_index for each in labels.all(EVERY)] == [4, 3, 0]


def test_deleted_inputs_are_gone_and_their_ids_name_no_other_input(store: Store) -> None:
    numbers = stored(store, hard_input(1), hard_input(2))
    labels = LabeledInputs(store)
    labels.label(numbers[1], "c", by="ann", now_ms=5)

    assert labels.delete(EVERY) == 2
    assert labels.delete(EVERY) == 0

    (new,) = stored(store, hard_input(3))
    assert new > numbers[1]
    assert one(store, new).label is None


def test_confidence_comes_from_the_receipt_nearest_in_time(store: Store) -> None:
    numbers = stored(store, hard_input(0), hard_input(1), hard_input(5))
    receipts = [
        make_receipt(1, input_index=0, device_confidence=0.2, answered_at_ms=NOW_MS - 10**6),
        make_receipt(2, input_index=0, device_confidence=0.9, answered_at_ms=NOW_MS),
        make_receipt(3, input_index=1, device_confidence=0.0),
    ]
    add_batch(store, "pi-1", receipt_pb2.ReceiptBatch(outbox_id="outbox", receipts=receipts))
    labels = LabeledInputs(store)

    assert labels.confidences(list(labels.all(EVERY))) == {numbers[0]: 0.9}
