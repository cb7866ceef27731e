"""Metrics match the receipts, on every database and in any order of arrival."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np
import pytest

from nestling.v1 import receipt_pb2
from nestling_cloud.metrics.figures import Totals
from nestling_cloud.metrics.queries import MetricQueries
from nestling_cloud.store.delivery import Delivery
from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_cloud.store.retention import DAY_MS, Retention
from nestling_cloud.store.store import Store
from nestling_cloud.store.tally import FALLBACKS, FOLLOW_UP
from nestling_cloud.store.time_range import TimeRange
from tests.support.receipts import make_follow_up, make_receipt
from tests.support.stored import add_batch

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
_REASONS = (receipt_pb2.REASON_ACCEPTED, receipt_pb2.REASON_GATED, receipt_pb2.REASON_UNREACHABLE)
_Key = TypeVar("_Key")
_FOLLOW_UPS = (
    (receipt_pb2.REASON_AUDITED, receipt_pb2.FOLLOW_UP_AUDIT),
    (receipt_pb2.REASON_EXPIRED, receipt_pb2.FOLLOW_UP_AUDIT),
    (receipt_pb2.REASON_DEFERRED, receipt_pb2.FOLLOW_UP_DEFERRED),
    (receipt_pb2.REASON_EXPIRED, receipt_pb2.FOLLOW_UP_DEFERRED),
)
_PROVENANCES = (receipt_pb2.PROVENANCE_MEASURED, receipt_pb2.PROVENANCE_MODELLED)


def any_receipt(rng: random.Random, sequence: int, at_ms: int) -> receipt_pb2.Receipt:
    receipt = make_receipt(
        sequence,
        answered_at_ms=at_ms,
        latency_ms=rng.lognormvariate(2, 1),
        bytes_up=rng.randrange(3000),
        offload_energy_mj=rng.random(),
        offload_bytes=rng.randrange(3000),
        device_confidence=rng.choice((0.0, rng.random())),
    )
    receipt.latency_provenance = rng.choice(_PROVENANCES)
    receipt.route.capacity = rng.randrange(5)
    receipt.route.reason = rng.choice(_REASONS)
    receipt.offload_energy_provenance = rng.choice(
        (receipt_pb2.PROVENANCE_UNSPECIFIED, *_PROVENANCES)
    )
    receipt.follow_up = rng.choice(receipt_pb2.FollowUp.values())
    for entry in receipt.energy:
        entry.energy_mj, entry.provenance = rng.random(), rng.choice(_PROVENANCES)
    return receipt


def any_follow_up(rng: random.Random, sequence: int, at_ms: int) -> receipt_pb2.Receipt:
    reason, why = rng.choice(_FOLLOW_UPS)
    receipt = make_follow_up(
        make_receipt(answered_at_ms=at_ms, fingerprint=rng.randrange(-(2**63), 2**63)),
        sequence,
        reason=reason,
        why=why,
        answer=rng.randrange(2, 5),
        bytes_up=rng.randrange(3000),
    )
    receipt.energy[0].energy_mj = rng.random()
    receipt.energy[0].provenance = rng.choice(_PROVENANCES)
    return receipt


def fill(store: Store, *, seed: int, since_ms: int, span_ms: int, count: int = 300) -> None:
    """Store answers and follow-ups of three devices at random times, in batches out of order."""
    rng = random.Random(seed)
    deliveries = []
    for device in ("pi-1", "pi-2", "pi-3"):
        receipts = [
            any_receipt(rng, sequence, since_ms + rng.randrange(span_ms))
            for sequence in range(1, count + 1)
        ]
        receipts += [
            any_follow_up(rng, count + more, since_ms + rng.randrange(span_ms))
            for more in range(1, count // 3 + 1)
        ]
        for first in range(0, len(receipts), 20):
            batch = receipt_pb2.ReceiptBatch(
                outbox_id="outbox", receipts=receipts[first : first + 20]
            )
            deliveries.append(Delivery(device=device, batch=batch))
    rng.shuffle(deliveries)
    for first in range(0, len(deliveries), 7):
        store.add_all(deliveries[first : first + 7])


def check(made: Totals, rows: list[ReceiptRow], within: TimeRange) -> None:
    """Compare totals with those computed from the receipts."""
    every = [row for row in rows if within.since_ms <= row.answered_at_ms < within.until_ms]
    rows = [row for row in every if row.follows is None]
    assert made.answers == len(rows) > 0
    assert made.fallbacks == sum(row.reason in FALLBACKS for row in rows)
    own = [row.device_confidence for row in rows if row.route != "cloud" and row.device_confidence]
    assert made.estimated_answers == len(own)
    assert made.expected_right == pytest.approx(sum(own))
    assert {route.route: route.answers for route in made.routes} == Counter(
        row.route for row in rows
    )
    for route in made.routes:
        latencies = [row.latency_ms for row in rows if row.route == route.route]
        exact = np.percentile(latencies, [50, 95, 99], method="inverted_cdf")
        percentiles = (route.latency_p50_ms, route.latency_p95_ms, route.latency_p99_ms)
        assert percentiles == pytest.approx(tuple(exact), rel=0.05)
    assert {
        (entry.route, entry.source, entry.provenance): entry.energy_mj for entry in made.energy
    } == pytest.approx(_sum(_energy(every)))
    assert {
        (entry.route, entry.source, entry.provenance): entry.answers
        for entry in made.energy
        if entry.route != FOLLOW_UP
    } == Counter(key for key, _ in _energy(rows))
    assert {entry.answers for entry in made.energy if entry.route == FOLLOW_UP} == {0}
    assert {entry.provenance: entry.energy_mj for entry in made.cloud_only} == pytest.approx(
        _sum(
            (row.offload_energy_provenance, row.offload_energy_mj)
            for row in rows
            if row.offload_energy_provenance != "none"
        )
    )
    assert made.bytes_up == sum(row.bytes_up for row in every)
    _check_follow_ups(made, every)
    _check_series(made, rows, within)


def _check_follow_ups(made: Totals, rows: list[ReceiptRow]) -> None:
    follow_ups = [row for row in rows if row.follows is not None]
    agrees = Counter(
        (row.follow_up, row.reason != "expired", row.answer == row.device_answer)
        for row in follow_ups
    )
    assert made.audited == agrees["audit", True, True] + agrees["audit", True, False] > 0
    assert made.agreeing == agrees["audit", True, True] > 0
    assert made.deferred == sum(row.follow_up == "deferred" and row.follows is None for row in rows)
    assert made.revised == agrees["deferred", True, True] + agrees["deferred", True, False] > 0
    assert made.changed == agrees["deferred", True, False]
    assert made.expired == sum(row.reason == "expired" for row in follow_ups)


def _check_series(made: Totals, rows: list[ReceiptRow], within: TimeRange) -> None:
    starts = list(range(within.since_ms, within.until_ms, made.step_ms))
    assert [bucket.start_ms for bucket in made.series] == starts
    answers = Counter(
        (row.answered_at_ms - row.answered_at_ms % made.step_ms, row.route) for row in rows
    )
    assert {
        (bucket.start_ms, route): count
        for bucket in made.series
        for route, count in bucket.routes.items()
    } == answers
    assert sum(bucket.fallbacks for bucket in made.series) == made.fallbacks
    total = sum(sum(bucket.energy_mj.values()) for bucket in made.series)
    assert total == pytest.approx(sum(entry.energy_mj for entry in made.energy))


def _energy(rows: Iterable[ReceiptRow]) -> Iterator[tuple[tuple[str, str, str], float]]:
    """Yield route, source and provenance of every reported energy, and the energy."""
    for row in rows:
        route = row.route if row.follows is None else FOLLOW_UP
        compute, radio = row.energy_compute_provenance, row.energy_radio_provenance
        if compute != "none":
            yield (route, "compute", compute), row.energy_compute_mj
        yield (route, "radio", radio), row.energy_radio_mj


def _sum(pairs: Iterable[tuple[_Key, float]]) -> dict[_Key, float]:
    total: dict[_Key, float] = defaultdict(float)
    for key, value in pairs:
        total[key] += value
    return total


@pytest.mark.parametrize(
    ("span_ms", "ago_ms", "step_ms"),
    [
        (20 * MINUTE_MS, 0, 10_000),
        (3 * HOUR_MS, 0, MINUTE_MS),
        (DAY_MS, 0, 5 * MINUTE_MS),
        (9 * DAY_MS, 0, HOUR_MS),
        (20 * MINUTE_MS, 5 * DAY_MS, MINUTE_MS),
        (20 * MINUTE_MS, 90 * DAY_MS, HOUR_MS),
    ],
)
def test_fleet_metrics_match_its_receipts(
    store: Store, now_ms: int, span_ms: int, ago_ms: int, step_ms: int
) -> None:
    until_ms = now_ms - ago_ms
    fill(store, seed=span_ms, since_ms=until_ms - span_ms, span_ms=span_ms)
    wanted = TimeRange(since_ms=until_ms - span_ms // 2, until_ms=until_ms - span_ms // 5)

    view = MetricQueries(store).fleet(wanted)

    assert view.totals.step_ms <= step_ms
    assert view.range.since_ms <= wanted.since_ms
    assert view.range.until_ms >= wanted.until_ms
    check(view.totals, list(store.receipts()), view.range)
    assert view.answering == 3


@pytest.mark.parametrize("span_ms", [20 * MINUTE_MS, 3 * HOUR_MS, 9 * DAY_MS])
def test_device_metrics_match_its_receipts(store: Store, now_ms: int, span_ms: int) -> None:
    fill(store, seed=span_ms, since_ms=now_ms - span_ms, span_ms=span_ms)
    wanted = TimeRange(since_ms=now_ms - span_ms, until_ms=now_ms - span_ms // 5)

    view = MetricQueries(store).device("pi-2", wanted, answers=50)

    assert view is not None
    assert (view.totals.step_ms == 10_000) == (span_ms < HOUR_MS)
    check(view.totals, list(store.receipts("pi-2")), view.range)
    rows = sorted(
        (row.answered_at_ms, row.input_index)
        for row in store.receipts("pi-2")
        if view.range.since_ms <= row.answered_at_ms < view.range.until_ms
    )
    assert [(point.answered_at_ms, point.input_index) for point in view.answers] == rows[-50:]


def test_latest_answers_have_their_values(store: Store) -> None:
    receipt = make_receipt(answer=0, device_answer=0)
    receipt.values.extend([3.5, -1.0])
    add_batch(store, "pi-1", receipt_pb2.ReceiptBatch(outbox_id="outbox", receipts=[receipt]))
    at_ms = receipt.answered_at_ms

    view = MetricQueries(store).device("pi-1", TimeRange(since_ms=at_ms, until_ms=at_ms + 1))

    assert view is not None
    assert [(point.answer, point.values) for point in view.answers] == [(0, (3.5, -1.0))]


def test_device_keeps_its_minutes_after_its_receipts_were_deleted(database: str) -> None:
    with Store(database, retention=Retention(receipts=10)) as store:
        add_batch(store, "pi-1", receipt_pb2.ReceiptBatch(outbox_id="outbox"))
        figures = MetricQueries(store)
        seen_ms = figures.devices()[0][0].last_seen_ms
        fill(store, seed=1, since_ms=seen_ms - 10 * MINUTE_MS, span_ms=10 * MINUTE_MS)

        view = figures.device(
            "pi-1", TimeRange(since_ms=seen_ms - 15 * MINUTE_MS, until_ms=seen_ms + 1)
        )

        assert view is not None
        assert view.totals.step_ms == MINUTE_MS
        assert view.totals.answers == view.row.answers == 300


def test_late_receipts_count_in_the_steps_of_their_answers(store: Store, now_ms: int) -> None:
    fill(store, seed=1, since_ms=now_ms - HOUR_MS, span_ms=MINUTE_MS)
    late_ms = now_ms - 10 * DAY_MS
    add_batch(store, "pi-4", _one(late_ms))

    view = MetricQueries(store).fleet(TimeRange(since_ms=late_ms, until_ms=late_ms + 1))

    assert view.totals.answers == 1
    assert view.answering == 1
    assert view.totals.step_ms == MINUTE_MS


@pytest.mark.parametrize("at_ms", [0, 4_102_444_800_000])
def test_clock_that_is_far_off_does_not_extend_the_range(
    store: Store, now_ms: int, at_ms: int
) -> None:
    fill(store, seed=1, since_ms=now_ms - HOUR_MS, span_ms=HOUR_MS // 2)
    add_batch(store, "pi-4", _one(at_ms))
    figures = MetricQueries(store)

    first_ms = figures.first_ms() or 0
    everything = figures.fleet(TimeRange(since_ms=-(10**30), until_ms=10**30))

    assert now_ms - 3 * HOUR_MS < first_ms < now_ms
    assert everything.totals.answers == 901
    assert len(everything.totals.series) <= 361
    assert figures.fleet(TimeRange(since_ms=first_ms, until_ms=now_ms)).totals.answers == 900


def test_largest_allowed_values_are_summed(store: Store, now_ms: int) -> None:
    for sequence in (1, 2, 3):
        largest = _one(now_ms, sequence)
        largest.receipts[0].bytes_up = largest.receipts[0].offload_bytes = 2**40
        largest.receipts[0].energy[0].energy_mj = 1e9
        assert add_batch(store, "pi-1", largest) == 1

    view = MetricQueries(store).fleet(TimeRange(since_ms=now_ms - MINUTE_MS, until_ms=now_ms + 1))

    assert view.totals.answers == 3
    assert view.totals.bytes_up == 3 * 2**40


def test_store_without_receipts_has_empty_metrics(store: Store) -> None:
    figures = MetricQueries(store)

    view = figures.fleet(TimeRange(since_ms=0, until_ms=1))

    assert (view.known, view.online, view.answering, view.dropped) == (0, 0, 0, 0)
    assert view.totals.answers == 0
    assert figures.first_ms() is None
    assert figures.devices() == ([], 0)
    assert figures.device("pi-1", TimeRange(since_ms=0, until_ms=1)) is None
    assert list(figures.receipts(TimeRange(since_ms=0, until_ms=1))) == []


def test_receipts_of_a_range_are_read_in_order_of_arrival(store: Store, now_ms: int) -> None:
    fill(store, seed=1, since_ms=now_ms - HOUR_MS, span_ms=HOUR_MS, count=500)
    wanted = TimeRange(since_ms=now_ms - HOUR_MS // 2, until_ms=now_ms)
    figures = MetricQueries(store)

    found = list(figures.receipts(wanted))
    of_one = list(figures.receipts(wanted, device="pi-2"))

    expected = [
        row for row in store.receipts() if wanted.since_ms <= row.answered_at_ms < wanted.until_ms
    ]
    assert len(found) > 600
    assert {(row.device, row.sequence) for row in found} == {
        (row.device, row.sequence) for row in expected
    }
    assert len(found) == len(expected)
    assert [row for row in found if row.device == "pi-2"] == of_one


def test_reader_of_receipts_skips_those_that_arrive_later(store: Store, now_ms: int) -> None:
    add_batch(store, "pi-1", _one(now_ms))
    reader = MetricQueries(store).receipts(TimeRange(since_ms=-(10**30), until_ms=10**30))
    assert next(reader).sequence == 1

    add_batch(store, "pi-1", _one(now_ms, 2))

    assert list(reader) == []


def _one(at_ms: int, sequence: int = 1) -> receipt_pb2.ReceiptBatch:
    receipt = make_receipt(sequence, answered_at_ms=at_ms)
    return receipt_pb2.ReceiptBatch(outbox_id="outbox", receipts=[receipt])
