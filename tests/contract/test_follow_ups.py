"""Follow-ups are stored, and are no answers, on every database."""

from nestling.v1 import receipt_pb2
from nestling.v1.receipt_pb2 import (
    FOLLOW_UP_AUDIT,
    FOLLOW_UP_DEFERRED,
    REASON_AUDITED,
    REASON_DEFERRED,
    REASON_NO_LINK,
)
from nestling_cloud.metrics.queries import MetricQueries
from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_cloud.store.store import Store
from nestling_cloud.store.time_range import TimeRange
from tests.support.receipts import make_follow_up, make_receipt
from tests.support.stored import add_batch

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
# Beyond what a float holds exactly.
FINGERPRINT = -(2**63) + 1


def add(store: Store, *receipts: receipt_pb2.Receipt, device: str = "pi-1") -> None:
    batch = receipt_pb2.ReceiptBatch(outbox_id="outbox", receipts=receipts)
    assert add_batch(store, device, batch) == len(receipts)


def deferred_answer(at_ms: int, sequence: int = 1) -> receipt_pb2.Receipt:
    receipt = make_receipt(
        sequence, answered_at_ms=at_ms, fingerprint=FINGERPRINT, follow_up=FOLLOW_UP_DEFERRED
    )
    receipt.route.reason = REASON_NO_LINK
    return receipt


def revision(first: receipt_pb2.Receipt, sequence: int, at_ms: int) -> receipt_pb2.Receipt:
    return make_follow_up(
        first,
        sequence,
        reason=REASON_DEFERRED,
        why=FOLLOW_UP_DEFERRED,
        answered_at_ms=at_ms,
        answer=1,
    )


def test_follow_up_is_stored_with_both_answers_and_the_receipt_that_it_follows(
    store: Store, now_ms: int
) -> None:
    first = deferred_answer(now_ms)
    add(store, first, revision(first, 2, now_ms))

    announced, followed = store.receipts()

    assert facts(announced) == ("capacity-2", "no_link", 3, 3, "deferred", None)
    assert facts(followed) == ("cloud", "deferred", 1, 3, "deferred", FINGERPRINT)
    assert followed.input_index == announced.input_index


def facts(row: ReceiptRow) -> tuple[str, str, int, int | None, str, int | None]:
    return row.route, row.reason, row.answer, row.device_answer, row.follow_up, row.follows


def test_device_page_lists_follow_ups_among_the_answers(store: Store, now_ms: int) -> None:
    first = deferred_answer(now_ms - 2)
    add(store, first, revision(first, 2, now_ms - 1))

    view = MetricQueries(store).device(
        "pi-1", TimeRange(since_ms=now_ms - MINUTE_MS, until_ms=now_ms)
    )

    assert view is not None
    assert [(point.follow_up, point.follows) for point in view.answers] == [
        ("deferred", None),
        ("deferred", FINGERPRINT),
    ]
    assert view.totals.answers == view.row.answers == 1


def test_device_that_only_follows_up_does_not_count_as_answering(store: Store, now_ms: int) -> None:
    answered_ms = now_ms - 3 * HOUR_MS
    first = deferred_answer(answered_ms)
    add(store, first, revision(first, 2, now_ms - 90 * MINUTE_MS), revision(first, 3, now_ms))
    figures = MetricQueries(store)

    def answering(since_ms: int, until_ms: int) -> int:
        return figures.fleet(TimeRange(since_ms=since_ms, until_ms=until_ms)).answering

    assert answering(answered_ms, answered_ms + MINUTE_MS) == 1
    assert answering(now_ms - 2 * HOUR_MS, now_ms - HOUR_MS) == 0
    assert answering(now_ms - HOUR_MS, now_ms + HOUR_MS) == 0


def test_range_with_follow_ups_alone_has_their_energy_and_no_answers(
    store: Store, now_ms: int
) -> None:
    first = deferred_answer(now_ms - 3 * HOUR_MS)
    add(store, first, revision(first, 2, now_ms))

    made = MetricQueries(store).fleet(TimeRange(since_ms=now_ms, until_ms=now_ms + 1)).totals

    assert (made.answers, made.routes, made.cloud_only) == (0, (), ())
    assert (made.bytes_up, made.revised, made.changed) == (10, 1, 1)
    assert [(one.route, one.answers, one.energy_mj) for one in made.energy] == [
        ("follow-up", 0, 0.5)
    ]


def test_agreement_is_that_of_the_audits_of_all_devices(store: Store, now_ms: int) -> None:
    for number in range(4):
        first = make_receipt(1, answered_at_ms=now_ms, follow_up=FOLLOW_UP_AUDIT)
        answer = 1 if number == 0 else first.answer
        audit = make_follow_up(first, reason=REASON_AUDITED, why=FOLLOW_UP_AUDIT, answer=answer)
        add(store, first, audit, device=f"pi-{number}")

    made = MetricQueries(store).fleet(TimeRange(since_ms=now_ms, until_ms=now_ms + 1)).totals

    assert (made.answers, made.audited, made.agreeing, made.agreement) == (4, 4, 3, 0.75)
