from dataclasses import replace
from typing import Any

import pytest

from nestling.v1 import receipt_pb2
from nestling_cloud.metrics.figures import CloudOnly, EnergyFigures, Totals
from nestling_cloud.metrics.steps import Steps
from nestling_cloud.metrics.totals import totals
from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_cloud.store.receipt_validation import flatten
from nestling_cloud.store.tally import Kind, tally
from nestling_cloud.store.time_range import TimeRange
from tests.support.receipts import make_follow_up, make_receipt

STEPS = Steps(step_ms=10, rollup_ms=10, range=TimeRange(since_ms=0, until_ms=40))
MEASURED, MODELLED = receipt_pb2.PROVENANCE_MEASURED, receipt_pb2.PROVENANCE_MODELLED


def answer(
    at_ms: int, *, capacity: int = 1, reason: int = receipt_pb2.REASON_ACCEPTED
) -> ReceiptRow:
    receipt = make_receipt(answered_at_ms=at_ms)
    receipt.route.capacity = capacity
    receipt.route.reason = receipt_pb2.Reason.ValueType(reason)
    return flatten("pi-1", "outbox", receipt)


def with_compute(provenance: receipt_pb2.Provenance.ValueType) -> ReceiptRow:
    receipt = make_receipt(answered_at_ms=0)
    receipt.energy[0].provenance = provenance
    return flatten("pi-1", "outbox", receipt)


def figures(*rows: ReceiptRow) -> Totals:
    sums = tally(rows, 10)
    return totals(((start, kind, sums[device, start, kind]) for device, start, kind in sums), STEPS)


def test_series_has_every_step_and_adds_up_to_the_totals() -> None:
    made = figures(answer(1), answer(12), answer(13, capacity=0), answer(39))

    assert [bucket.start_ms for bucket in made.series] == [0, 10, 20, 30]
    assert [dict(bucket.routes) for bucket in made.series] == [
        {"capacity-1": 1},
        {"capacity-1": 1, "cloud": 1},
        {},
        {"capacity-1": 1},
    ]
    assert made.answers == 4
    assert (made.bytes_up, made.bytes_down) == (40, 80)
    assert sum(bucket.energy_mj.get(("compute", "modelled"), 0) for bucket in made.series) == 8.0


def test_routes_list_capacities_in_order_and_the_cloud_last() -> None:
    made = figures(*(answer(0, capacity=capacity) for capacity in (10, 0, 2)))

    assert [route.route for route in made.routes] == ["capacity-2", "capacity-10", "cloud"]


def test_fallbacks_are_counted_apart_from_intended_device_answers() -> None:
    fallbacks = ("DEADLINE_MISSED", "UNREACHABLE", "BAD_ANSWER")
    others = ("ACCEPTED", "ENERGY_LIMIT")
    reasons = [receipt_pb2.Reason.Value(f"REASON_{name}") for name in fallbacks + others]

    made = figures(*(answer(0, reason=reason) for reason in reasons))

    assert (made.answers, made.fallbacks) == (5, 3)
    assert made.routes[0].fallbacks == made.series[0].fallbacks == 3


def test_energy_of_different_provenance_is_never_added() -> None:
    made = figures(with_compute(MEASURED), with_compute(MODELLED), with_compute(MODELLED))

    compute = [entry for entry in made.energy if entry.source == "compute"]
    assert compute == [
        EnergyFigures(
            route="capacity-2", source="compute", provenance="measured", answers=1, energy_mj=2.0
        ),
        EnergyFigures(
            route="capacity-2", source="compute", provenance="modelled", answers=2, energy_mj=4.0
        ),
    ]
    assert made.series[0].energy_mj == {
        ("compute", "measured"): 2.0,
        ("compute", "modelled"): 4.0,
        ("radio", "measured"): 1.5,
    }


def test_cloud_only_counts_the_answers_that_report_it() -> None:
    silent = make_receipt(answered_at_ms=0, offload_energy_mj=0.0, offload_bytes=0)
    silent.offload_energy_provenance = receipt_pb2.PROVENANCE_UNSPECIFIED

    made = figures(answer(0), answer(0), flatten("pi-1", "outbox", silent))

    assert made.answers == 3
    assert made.cloud_only == (
        CloudOnly(provenance="modelled", answers=2, energy_mj=14.0, size_bytes=600),
    )


def confident(confidence: float, *, capacity: int = 1) -> ReceiptRow:
    return replace(answer(0, capacity=capacity), device_confidence=confidence)


def test_expected_accuracy_is_the_mean_over_the_devices_own_answers() -> None:
    made = figures(confident(0.5), confident(1.0, capacity=2), confident(0.1, capacity=0))

    assert (made.answers, made.estimated_answers) == (3, 2)
    assert made.device_accuracy == pytest.approx(0.75)


def test_answers_without_an_estimate_have_no_expected_accuracy() -> None:
    made = figures(confident(0.0), confident(0.9, capacity=0))

    assert (made.estimated_answers, made.device_accuracy) == (0, None)


def test_latency_provenance_lists_every_provenance() -> None:
    receipt = make_receipt(answered_at_ms=0, latency_ms=1.5)
    receipt.latency_provenance = MEASURED

    made = figures(answer(0, capacity=2), flatten("pi-1", "outbox", receipt))

    (route,) = made.routes
    assert route.latency_provenance == "measured, modelled"
    assert route.latency_p50_ms == pytest.approx(1.5, rel=0.05)


def test_range_without_answers_has_all_steps_and_no_figures() -> None:
    made = figures()

    assert (made.answers, made.routes, made.energy, made.cloud_only) == (0, (), (), ())
    assert len(made.series) == 4


def test_kind_holds_every_provenance() -> None:
    (key,) = tally([answer(5)], 10)

    assert key == (
        "pi-1",
        0,
        Kind("capacity-1", False, "modelled", "modelled", "measured", "modelled"),
    )


FIRST = make_receipt(answered_at_ms=0)
AUDIT, DEFERRED = receipt_pb2.FOLLOW_UP_AUDIT, receipt_pb2.FOLLOW_UP_DEFERRED


def follow_up(
    reason: receipt_pb2.Reason.ValueType, why: receipt_pb2.FollowUp.ValueType, **fields: Any
) -> ReceiptRow:
    return flatten("pi-1", "outbox", make_follow_up(FIRST, reason=reason, why=why, **fields))


def announced(why: receipt_pb2.FollowUp.ValueType) -> ReceiptRow:
    return flatten("pi-1", "outbox", make_receipt(answered_at_ms=0, follow_up=why))


def audits(*, agreeing: int, differing: int = 0, expired: int = 0) -> list[ReceiptRow]:
    return [
        *[follow_up(receipt_pb2.REASON_AUDITED, AUDIT)] * agreeing,
        *[follow_up(receipt_pb2.REASON_AUDITED, AUDIT, answer=1)] * differing,
        *[follow_up(receipt_pb2.REASON_EXPIRED, AUDIT)] * expired,
    ]


def test_follow_up_adds_only_its_energy_and_its_bytes() -> None:
    alone = figures(announced(AUDIT))

    made = figures(announced(AUDIT), follow_up(receipt_pb2.REASON_AUDITED, AUDIT))

    assert (made.answers, made.fallbacks, made.routes) == (1, 0, alone.routes)
    assert made.cloud_only == alone.cloud_only
    assert (made.estimated_answers, made.expected_right) == (1, 0.75)
    assert [bucket.routes for bucket in made.series] == [bucket.routes for bucket in alone.series]
    assert (made.bytes_up, made.bytes_down) == (20, 40)
    assert made.energy == (
        *alone.energy,
        EnergyFigures(
            route="follow-up", source="radio", provenance="measured", answers=0, energy_mj=0.5
        ),
    )
    assert made.series[0].energy_mj["radio", "measured"] == 1.0


def test_expired_follow_up_is_not_an_answer_of_the_capacity() -> None:
    made = figures(follow_up(receipt_pb2.REASON_EXPIRED, DEFERRED))

    assert (made.answers, made.routes, made.expired) == (0, (), 1)


def test_offload_costs_of_a_follow_up_do_not_count() -> None:
    made = figures(
        follow_up(
            receipt_pb2.REASON_AUDITED,
            AUDIT,
            offload_energy_mj=7.0,
            offload_energy_provenance=MODELLED,
        )
    )

    assert made.cloud_only == ()


def test_agreement_is_the_share_of_audits_that_did_not_change_the_answer() -> None:
    made = figures(*audits(agreeing=6, differing=2))

    assert (made.audited, made.agreeing, made.agreement) == (8, 6, 0.75)
    assert made.agreement_interval == pytest.approx((0.3491, 0.9681), abs=1e-4)


def test_expired_audits_say_nothing_about_the_agreement() -> None:
    made = figures(*audits(agreeing=3, differing=1, expired=4))

    assert (made.audited, made.agreeing, made.agreement) == (4, 3, 0.75)
    assert (made.expired, made.revised) == (4, 0)
    assert figures(*audits(agreeing=0, expired=4)).agreement is None


def test_range_without_audits_has_no_agreement() -> None:
    made = figures(announced(AUDIT))

    assert (made.audited, made.agreement, made.agreement_interval) == (0, None, None)


def test_deferred_inputs_are_counted_when_announced_and_when_followed_up() -> None:
    made = figures(
        announced(DEFERRED),
        announced(DEFERRED),
        announced(AUDIT),
        follow_up(receipt_pb2.REASON_DEFERRED, DEFERRED),
        follow_up(receipt_pb2.REASON_DEFERRED, DEFERRED, answer=1),
        follow_up(receipt_pb2.REASON_EXPIRED, DEFERRED),
        follow_up(receipt_pb2.REASON_EXPIRED, AUDIT),
    )

    assert (made.deferred, made.revised, made.changed, made.expired) == (2, 2, 1, 2)
    assert (made.answers, made.audited) == (3, 0)
