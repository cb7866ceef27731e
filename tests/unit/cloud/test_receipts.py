import dataclasses
import math
from collections.abc import Callable

import pytest

from nestling.v1 import receipt_pb2
from nestling_cloud.telemetry import tables
from nestling_cloud.telemetry.receipts import ReceiptError, ReceiptRow, flatten

MakeReceipt = Callable[..., receipt_pb2.Receipt]


def test_receipt_becomes_a_flat_row(make_receipt: MakeReceipt) -> None:
    row = flatten("pi-1", "outbox", make_receipt(7))

    assert row.device == "pi-1"
    assert row.sequence == 7
    assert (row.route, row.reason) == ("capacity-2", "accepted")
    assert (row.energy_compute_mj, row.energy_radio_mj) == (2.0, 0.5)
    assert row.latency_provenance == "modelled"
    assert row.budget_memory_bytes == 16_000
    assert row.success == (0.5, 0.75, 1.0)


def test_columns_of_the_table_are_the_fields_of_the_row() -> None:
    fields = [field.name for field in dataclasses.fields(ReceiptRow)]

    assert ["id", *fields] == tables.RECEIPTS.columns.keys()


def test_capacity_0_is_the_cloud_and_a_student_that_did_not_run_has_no_answer(
    make_receipt: MakeReceipt,
) -> None:
    receipt = make_receipt()
    receipt.route.capacity, receipt.route.reason = 0, receipt_pb2.REASON_GATED
    receipt.ClearField("device_answer")

    row = flatten("pi-1", "outbox", receipt)

    assert (row.route, row.reason, row.device_answer) == ("cloud", "gated", None)


@pytest.mark.parametrize(
    ("given", "worst"),
    [
        ([1, 1], "measured"),
        ([1, 2], "calibrated"),
        ([3, 1], "modelled"),
        ([2, 3], "modelled"),
        ([], "none"),
    ],
)
def test_energy_is_as_uncertain_as_its_worst_entry(
    make_receipt: MakeReceipt, given: list[receipt_pb2.Provenance.ValueType], worst: str
) -> None:
    receipt = make_receipt()
    del receipt.energy[:]
    for provenance in given:
        receipt.energy.add(source="compute", energy_mj=1.0).provenance = provenance

    assert flatten("pi-1", "outbox", receipt).energy_provenance == worst


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sequence", 0),
        ("sequence", 2**63),
        ("input_index", 2**64 - 1),
        ("answered_at_ms", -1),
        ("bytes_up", 2**63),
        ("latency_ms", math.nan),
        ("latency_ms", -1.0),
        ("wall_ms", math.inf),
        ("latency_provenance", 0),
        ("latency_provenance", 9),
        ("bundle_version", "x" * 201),
    ],
)
def test_nonsense_is_refused_and_named(
    make_receipt: MakeReceipt, field: str, value: object
) -> None:
    with pytest.raises(ReceiptError, match=field):
        flatten("pi-1", "outbox", make_receipt(**{field: value}))


@pytest.mark.parametrize("reason", [0, 99])
def test_reason_that_is_none_is_refused(
    make_receipt: MakeReceipt, reason: receipt_pb2.Reason.ValueType
) -> None:
    receipt = make_receipt()
    receipt.route.reason = reason

    with pytest.raises(ReceiptError, match=f"route.reason {reason}"):
        flatten("pi-1", "outbox", receipt)


@pytest.mark.parametrize(
    ("field", "value"),
    [("source", "solar"), ("energy_mj", math.nan), ("energy_mj", -0.1), ("provenance", 0)],
)
def test_energy_without_source_value_or_provenance_is_refused(
    make_receipt: MakeReceipt, field: str, value: object
) -> None:
    receipt = make_receipt()
    setattr(receipt.energy[0], field, value)

    with pytest.raises(ReceiptError, match="energy"):
        flatten("pi-1", "outbox", receipt)


@pytest.mark.parametrize("field", ["battery", "link_mbit_s", "offload_share"])
def test_budget_that_is_no_number_is_refused(make_receipt: MakeReceipt, field: str) -> None:
    receipt = make_receipt()
    setattr(receipt.budget, field, math.nan)

    with pytest.raises(ReceiptError, match=f"budget.{field}"):
        flatten("pi-1", "outbox", receipt)


def test_success_that_is_no_number_is_refused(make_receipt: MakeReceipt) -> None:
    receipt = make_receipt()
    receipt.success.append(math.nan)

    with pytest.raises(ReceiptError, match="success"):
        flatten("pi-1", "outbox", receipt)
