from dataclasses import replace

import pytest

from nestling.v1 import receipt_pb2
from nestling_cloud.metrics.steps import Steps
from nestling_cloud.metrics.totals import totals
from nestling_cloud.metrics.views import CloudOnly, EnergyFigures, Totals
from nestling_cloud.store.receipt_row import ReceiptRow, flatten
from nestling_cloud.store.tally import Kind, tally
from nestling_cloud.store.time_range import TimeRange
from tests.support.receipts import make_receipt

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
