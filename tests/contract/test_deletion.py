"""Everything of a device or a span can be deleted, and the rest stays right, on every database."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from nestling.v1 import receipt_pb2
from nestling_cloud.control.targets import Targets
from nestling_cloud.federated.round_deletion import count_rounds, delete_rounds
from nestling_cloud.federated.round_log import (
    ROUNDS,
    Exclusion,
    Participant,
    Round,
    RoundLog,
)
from nestling_cloud.store import deletion, rollups, tables
from nestling_cloud.store.deletion import Contents, Scope
from nestling_cloud.store.device_registry import Report
from nestling_cloud.store.hard_inputs import HardInput, HardInputs
from nestling_cloud.store.labeled_inputs import InputFilter, LabeledInputs
from nestling_cloud.store.store import Store
from nestling_cloud.store.tally import Kind, Tally
from nestling_cloud.store.time_range import TimeRange
from nestling_core.kinds.kind import Answer
from tests.support.receipts import make_batch, make_follow_up, make_receipt
from tests.support.stored import add_batch, count_receipts, count_redelivered, settled_to

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
Sums = dict[tuple[int, Kind], Tally]
EVER = TimeRange(since_ms=0, until_ms=2**53)
PORCH, ROOF = "porch-of-ann", "roof"


@pytest.fixture
def hour_ms() -> int:
    """Return the start of the last whole hour."""
    now_ms = time.time_ns() // 1_000_000
    return now_ms - now_ms % HOUR_MS - HOUR_MS


def delete(store: Store, scope: Scope) -> Contents:
    with store.writing() as connection:
        return deletion.delete(connection, scope, store.retention, now_ms=time.time_ns() // 10**6)


def contents(store: Store, scope: Scope) -> Contents:
    with store.reading() as connection:
        return deletion.contents(connection, scope)


def sums(store: Store, step_ms: int, device: str | None = None) -> Sums:
    with store.reading() as connection:
        found = {
            (start, kind): figures
            for start, kind, figures in rollups.read(connection, step_ms, EVER, device)
        }
    for figures in found.values():
        for name in ("energy_compute_mj", "energy_radio_mj", "offload_energy_mj", "expected_right"):
            setattr(figures, name, round(getattr(figures, name), 6))
    return found


def every_text(store: Store) -> str:
    """Return all rows of all tables as text."""
    with store.reading() as connection:
        names = sa.inspect(connection).get_table_names()
        rows = [
            str(tuple(row))
            for name in names
            for row in connection.execute(sa.text(f'SELECT * FROM "{name}"'))  # noqa: S608
        ]
    return "\n".join(sorted(rows))


def answer(store: Store, device: str, first: int, at_ms: int, count: int = 3) -> None:
    """Store answers, a few seconds apart, and the follow-up of the last."""
    receipts = [
        make_receipt(first + index, answered_at_ms=at_ms + 7000 * index, latency_ms=1.0 + index)
        for index in range(count)
    ]
    receipts.append(
        make_follow_up(
            receipts[-1],
            first + count,
            reason=receipt_pb2.REASON_AUDITED,
            why=receipt_pb2.FOLLOW_UP_AUDIT,
        )
    )
    add_batch(store, device, receipt_pb2.ReceiptBatch(outbox_id=f"of-{device}", receipts=receipts))


def stored_input(device: str, at_ms: int, index: int = 0) -> HardInput:
    return HardInput(
        device=device,
        task="hand",
        received_at_ms=at_ms,
        input_index=index,
        values=bytes(24),
        shape=(2, 3),
        device_answer=Answer(0),
        cloud_answer=Answer(2),
    )


def fill(store: Store, at_ms: int) -> None:
    """Store a little of everything of two devices."""
    for device in (PORCH, ROOF):
        answer(store, device, 1, at_ms)
        add_batch(store, device, make_batch(10, outbox=f"of-{device}", answered_at_ms=at_ms))
        HardInputs(store).add_all([stored_input(device, at_ms)])
        Targets(store).set(device, 0.5, set_by="test")
        store.add_all([], [Report(device=device, seen_ms=at_ms, profile="pi4")])
    labels = LabeledInputs(store)
    for one in labels.all(InputFilter(device=PORCH)):
        labels.label(one.id, "c", by="ann", now_ms=at_ms)


def test_nothing_is_left_of_a_deleted_device(store: Store, database: str, hour_ms: int) -> None:
    fill(store, hour_ms)
    with RoundLog(database) as log:
        log.put(finished_round(1, hour_ms))

        found = contents(store, Scope(device=PORCH))
        with store.writing() as connection:
            assert count_rounds(connection, PORCH, None) == 1
            assert delete_rounds(connection, PORCH, None) == 1
        assert delete(store, Scope(device=PORCH)) == found

        assert (found.receipts, found.answers, found.inputs, found.labels) == (5, 4, 1, 1)
        assert (found.devices, found.target_changes, found.outboxes) == (1, 1, 1)
        assert PORCH not in every_text(store)
        assert ROOF in every_text(store)
        assert contents(store, Scope(device=PORCH)).is_empty
        assert [one.device for one in log.rounds()[0].participants] == [ROOF]


@pytest.mark.parametrize("age_ms", [0, 26 * HOUR_MS, 3 * DAY_MS, 20 * DAY_MS, 100 * DAY_MS])
def test_sums_of_the_fleet_are_those_of_the_other_devices(
    store: Store, make_store: Callable[[], Store], hour_ms: int, age_ms: int
) -> None:
    at_ms = hour_ms - age_ms
    alone = make_store()
    for device in (PORCH, ROOF):
        for minute in (0, 3, 59):
            answer(store, device, 1 + 10 * minute, at_ms + minute * MINUTE_MS)
    for minute in (0, 3, 59):
        answer(alone, ROOF, 1 + 10 * minute, at_ms + minute * MINUTE_MS)

    delete(store, Scope(device=PORCH))

    assert sums(store, HOUR_MS) == sums(alone, HOUR_MS)
    assert sums(store, HOUR_MS, ROOF) == sums(alone, HOUR_MS, ROOF)
    for step_ms in (10_000, MINUTE_MS):
        assert total(sums(store, step_ms)) == total(sums(alone, step_ms))
    if age_ms < 2 * DAY_MS - HOUR_MS:
        assert sums(store, MINUTE_MS) == sums(alone, MINUTE_MS)


def total(found: Sums) -> Tally:
    whole = Tally()
    for figures in found.values():
        whole.add(figures)
    return dataclasses.replace(
        whole,
        energy_compute_mj=round(whole.energy_compute_mj, 6),
        energy_radio_mj=round(whole.energy_radio_mj, 6),
        offload_energy_mj=round(whole.offload_energy_mj, 6),
        expected_right=round(whole.expected_right, 6),
    )


@pytest.fixture
def make_store(tmp_path: Path) -> Iterator[Callable[[], Store]]:
    opened: list[Store] = []

    def make() -> Store:
        opened.append(Store(f"sqlite:///{tmp_path / 'alone.sqlite'}"))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def test_receipts_that_arrive_again_after_a_deletion_are_not_new(
    store: Store, hour_ms: int
) -> None:
    first = make_batch(1, 2, 3, 7, answered_at_ms=hour_ms)  # 4 to 6 are missing
    add_batch(store, PORCH, first)
    delete(store, Scope(device=PORCH))
    assert PORCH not in every_text(store)

    assert add_batch(store, PORCH, first) == 0
    assert count_receipts(store) == 0
    assert count_redelivered(store) == 4
    assert settled_to(store, PORCH, "outbox") == 3

    assert add_batch(store, PORCH, make_batch(4, 5, 6, answered_at_ms=hour_ms)) == 3
    assert settled_to(store, PORCH, "outbox") == 7


def test_chain_of_a_deleted_device_goes_on(store: Store, hour_ms: int) -> None:
    for sequence in (1, 2, 5):
        add_batch(store, PORCH, make_batch(sequence, answered_at_ms=hour_ms))
        add_batch(store, ROOF, make_batch(sequence, answered_at_ms=hour_ms))

    delete(store, Scope(device=PORCH))

    rest = make_batch(3, 4, answered_at_ms=hour_ms)
    for device in (PORCH, ROOF):
        add_batch(store, device, rest)
    columns = tables.OUTBOXES.c
    with store.reading() as connection:
        chains = connection.execute(
            sa.select(columns.chain, columns.contiguous).where(columns.device.in_([PORCH, ROOF]))
        ).all()
    assert len(set(chains)) == 1
    assert chains[0].contiguous == 5


def test_device_can_be_deleted_again_and_again(store: Store, hour_ms: int) -> None:
    for sequence in (1, 2, 3):
        add_batch(store, PORCH, make_batch(sequence, answered_at_ms=hour_ms))
        delete(store, Scope(device=PORCH))

    assert PORCH not in every_text(store)
    assert add_batch(store, PORCH, make_batch(1, 2, 3, answered_at_ms=hour_ms)) == 0


def test_span_is_deleted_in_whole_hours_and_the_rest_stays(store: Store, hour_ms: int) -> None:
    early, late = hour_ms - 5 * HOUR_MS, hour_ms
    for number, at_ms in enumerate((early, hour_ms - 3 * HOUR_MS, late)):
        answer(store, PORCH, 1 + 10 * number, at_ms)
        HardInputs(store).add_all([stored_input(PORCH, at_ms, number)])
    middle = hour_ms - 3 * HOUR_MS

    scope = Scope(since_ms=middle + MINUTE_MS, until_ms=middle + 2 * MINUTE_MS)
    assert scope.span == (middle, middle + HOUR_MS)
    found = delete(store, scope)

    assert (found.receipts, found.answers, found.inputs) == (4, 3, 1)
    assert {row.answered_at_ms // HOUR_MS * HOUR_MS for row in store.receipts()} == {early, late}
    for step_ms in (10_000, MINUTE_MS, HOUR_MS):
        hours = {start // HOUR_MS * HOUR_MS for start, _ in sums(store, step_ms)}
        assert hours == {early, late}
    assert count_receipts(store) == 6
    assert LabeledInputs(store).count(InputFilter()) == 2


def test_span_of_one_device_leaves_the_others(store: Store, hour_ms: int) -> None:
    fill(store, hour_ms)

    delete(store, Scope(device=PORCH, since_ms=hour_ms, until_ms=hour_ms + HOUR_MS))

    assert {row.device for row in store.receipts()} == {ROOF}
    assert sums(store, HOUR_MS, PORCH) == {}
    assert sums(store, HOUR_MS) == sums(store, HOUR_MS, ROOF)
    assert Targets(store).for_device(PORCH) == 0.5  # a setting, not a record of the span


def test_receipts_of_a_deleted_span_are_not_new_either(store: Store, hour_ms: int) -> None:
    batch = make_batch(1, 2, 5, 6, answered_at_ms=hour_ms)
    add_batch(store, PORCH, batch)

    delete(store, Scope(since_ms=hour_ms))

    assert list(store.receipts()) == []
    assert add_batch(store, PORCH, batch) == 0
    assert add_batch(store, PORCH, make_batch(3, 4, answered_at_ms=hour_ms - DAY_MS)) == 2
    assert settled_to(store, PORCH, "outbox") == 6


def test_failed_deletion_deletes_nothing(store: Store, hour_ms: int) -> None:
    fill(store, hour_ms)
    before = every_text(store)

    def delete_and_end() -> None:
        with store.writing() as connection:
            deletion.delete(connection, Scope(device=PORCH), store.retention, now_ms=hour_ms)
            raise RuntimeError("ended before the commit")

    with pytest.raises(RuntimeError, match="ended"):
        delete_and_end()

    assert every_text(store) == before


def test_rewritten_database_has_the_rest(store: Store, hour_ms: int) -> None:
    fill(store, hour_ms)
    delete(store, Scope(device=PORCH))
    before = every_text(store)

    store.rewrite([*tables.METADATA.tables, ROUNDS.name])

    assert every_text(store) == before


def test_no_byte_of_a_deleted_device_is_left_in_the_files(tmp_path: Path, hour_ms: int) -> None:
    file = tmp_path / "receipts.sqlite"
    with Store(f"sqlite:///{file}") as running, Store(f"sqlite:///{file}") as store:
        fill(running, hour_ms)
        assert any(PORCH.encode() in path.read_bytes() for path in tmp_path.iterdir())

        delete(store, Scope(device=PORCH))
        store.rewrite(list(tables.METADATA.tables))

        assert not [path for path in tmp_path.iterdir() if PORCH.encode() in path.read_bytes()]
        assert {row.device for row in running.receipts()} == {ROOF}
        answer(running, ROOF, 50, hour_ms)  # the running cloud goes on


def test_rounds_of_a_span_are_deleted_whole(store: Store, database: str) -> None:
    with RoundLog(database) as log:
        for number in (1, 2):
            log.put(finished_round(number, number * HOUR_MS))

        with store.writing() as connection:
            assert delete_rounds(connection, None, (HOUR_MS, 2 * HOUR_MS)) == 1

        assert [each.number for each in log.rounds()] == [2]


def test_store_without_rounds_has_none_to_delete(store: Store) -> None:
    with store.writing() as connection:
        assert delete_rounds(connection, PORCH, None) == 0


def finished_round(number: int, ended_ms: int) -> Round:
    return Round(
        run="run",
        number=number,
        started_ms=ended_ms - 1,
        ended_ms=ended_ms,
        bundle_version="hand-1-0",
        participants=tuple(
            Participant(
                device=device,
                node="1",
                capacity=1,
                examples=5,
                held_out=1,
                accuracy_before=0.5,
                accuracy_after=0.5,
            )
            for device in (PORCH, ROOF)
        ),
        dropped=(Exclusion(device=PORCH, node="1", reason="late"),),
        bytes_down=1,
        bytes_up=1,
        accuracy=(0.5,),
        averaged=True,
    )
