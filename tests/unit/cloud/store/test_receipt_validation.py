import math

import pytest

from nestling.v1 import receipt_pb2
from nestling_cloud.store.receipt_validation import ReceiptError, flatten
from tests.support.receipts import make_follow_up, make_receipt


def test_receipt_becomes_a_flat_row() -> None:
    row = flatten("pi-1", "outbox", make_receipt(7))

    assert row.device == "pi-1"
    assert row.sequence == 7
    assert (row.route, row.reason) == ("capacity-2", "accepted")
    assert (row.energy_compute_mj, row.energy_compute_provenance) == (2.0, "modelled")
    assert (row.energy_radio_mj, row.energy_radio_provenance) == (0.5, "measured")
    assert (row.offload_energy_mj, row.offload_energy_provenance) == (7.0, "modelled")
    assert row.offload_bytes == 300
    assert row.latency_provenance == "modelled"
    assert row.budget_memory_bytes == 16_000
    assert row.success == (0.5, 0.75, 1.0)
    assert (row.device_answer, row.device_confidence) == (3, 0.75)


def test_capacity_0_means_the_cloud_and_no_device_answer_if_no_student_ran() -> None:
    receipt = make_receipt()
    receipt.route.capacity, receipt.route.reason = 0, receipt_pb2.REASON_GATED
    receipt.ClearField("device_answer")
    receipt.ClearField("device_confidence")

    row = flatten("pi-1", "outbox", receipt)

    assert (row.route, row.reason, row.device_answer) == ("cloud", "gated", None)
    assert row.device_confidence == 0


def test_confidence_in_no_answer_is_rejected() -> None:
    receipt = make_receipt()
    receipt.ClearField("device_answer")

    with pytest.raises(ReceiptError, match="device_confidence"):
        flatten("pi-1", "outbox", receipt)


@pytest.mark.parametrize(("reported", "stored"), [(0.0, 0.0), (1.0, 1.0), (1.0000001, 1.0)])
def test_confidence_of_a_rounded_probability_is_at_most_1(reported: float, stored: float) -> None:
    row = flatten("pi-1", "outbox", make_receipt(device_confidence=reported))

    assert row.device_confidence == stored


def test_unreported_offload_energy_has_no_provenance() -> None:
    receipt = make_receipt(offload_energy_mj=0.0, offload_bytes=0)
    receipt.offload_energy_provenance = receipt_pb2.PROVENANCE_UNSPECIFIED

    row = flatten("pi-1", "outbox", receipt)

    assert (row.offload_energy_provenance, row.offload_energy_mj) == ("none", 0.0)


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
    given: list[receipt_pb2.Provenance.ValueType], worst: str
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
        ("answered_at_ms", 2**53),
        ("bytes_up", 2**63),
        ("latency_ms", math.nan),
        ("latency_ms", -1.0),
        ("wall_ms", math.inf),
        ("latency_provenance", 0),
        ("latency_provenance", 9),
        ("latency_ms", 1e13),
        ("bundle_version", "x" * 201),
        ("bundle_version", "nul\0"),
        ("offload_energy_mj", math.nan),
        ("offload_energy_provenance", 9),
        ("offload_bytes", 2**63),
        ("resident_capacity", 65),
        ("answered_at_ms", 9_007_199_254_740_991),  # the year 287396
        ("bytes_up", 2**41),
        ("bytes_down", 2**63 - 1),
        ("offload_bytes", 2**63 - 1),
        ("input_index", 2**53),
        ("latency_ms", 1e10),
        ("wall_ms", 1e10),
        ("device_confidence", -0.1),
        ("device_confidence", 1.1),
        ("device_confidence", math.nan),
        ("device_confidence", math.inf),
    ],
)
def test_invalid_field_is_rejected_and_named(field: str, value: object) -> None:
    receipt = make_receipt()
    setattr(receipt, field, value)

    with pytest.raises(ReceiptError, match=field):
        flatten("pi-1", "outbox", receipt)


@pytest.mark.parametrize(
    ("field", "value"), [("battery", 1e12), ("offload_share", 1.5), ("memory_bytes", 2**63 - 1)]
)
def test_implausible_budget_is_rejected_and_named(field: str, value: float) -> None:
    receipt = make_receipt()
    setattr(receipt.budget, field, value)

    with pytest.raises(ReceiptError, match=field):
        flatten("pi-1", "outbox", receipt)


@pytest.mark.parametrize("days", [-400, 0, 400])
def test_time_that_is_off_by_a_year_is_accepted_unchanged(days: int) -> None:
    receipt = make_receipt()
    receipt.answered_at_ms += days * 24 * 3_600_000

    assert flatten("pi-1", "outbox", receipt).answered_at_ms == receipt.answered_at_ms


def test_route_beyond_the_largest_capacity_is_rejected() -> None:
    receipt = make_receipt()
    receipt.route.capacity = 65

    with pytest.raises(ReceiptError, match=r"route\.capacity 65 is above 64"):
        flatten("pi-1", "outbox", receipt)


@pytest.mark.parametrize("message", ["66 success probabilities", "17 energy entries"])
def test_receipt_with_overlong_lists_is_rejected(message: str) -> None:
    receipt = make_receipt()
    if "success" in message:
        receipt.success[:] = [0.5] * 66
    else:
        receipt.energy.extend([receipt.energy[0]] * (17 - len(receipt.energy)))

    with pytest.raises(ReceiptError, match=message):
        flatten("pi-1", "outbox", receipt)


@pytest.mark.parametrize("reason", [0, 99])
def test_unknown_reason_is_rejected(reason: receipt_pb2.Reason.ValueType) -> None:
    receipt = make_receipt()
    receipt.route.reason = reason

    with pytest.raises(ReceiptError, match=f"route.reason {reason}"):
        flatten("pi-1", "outbox", receipt)


@pytest.mark.parametrize(
    ("field", "value"),
    [("source", "solar"), ("energy_mj", math.nan), ("energy_mj", -0.1), ("provenance", 0)],
)
def test_energy_without_a_valid_source_value_or_provenance_is_rejected(
    field: str, value: object
) -> None:
    receipt = make_receipt()
    setattr(receipt.energy[0], field, value)

    with pytest.raises(ReceiptError, match="energy"):
        flatten("pi-1", "outbox", receipt)


@pytest.mark.parametrize("field", ["battery", "link_mbit_s", "offload_share"])
def test_nan_in_the_budget_is_rejected(field: str) -> None:
    receipt = make_receipt()
    setattr(receipt.budget, field, math.nan)

    with pytest.raises(ReceiptError, match=f"budget.{field}"):
        flatten("pi-1", "outbox", receipt)


def test_nan_among_success_probabilities_is_rejected() -> None:
    receipt = make_receipt()
    receipt.success.append(math.nan)

    with pytest.raises(ReceiptError, match="success"):
        flatten("pi-1", "outbox", receipt)


AUDIT, DEFERRED = receipt_pb2.FOLLOW_UP_AUDIT, receipt_pb2.FOLLOW_UP_DEFERRED


@pytest.mark.parametrize(
    ("reason", "why", "stored"),
    [
        ("AUDITED", AUDIT, ("cloud", "audited", "audit")),
        ("DEFERRED", DEFERRED, ("cloud", "deferred", "deferred")),
        ("EXPIRED", AUDIT, ("capacity-2", "expired", "audit")),
        ("EXPIRED", DEFERRED, ("capacity-2", "expired", "deferred")),
    ],
)
def test_follow_up_names_its_reason_and_the_receipt_that_it_follows(
    reason: str, why: receipt_pb2.FollowUp.ValueType, stored: tuple[str, str, str]
) -> None:
    given = receipt_pb2.Reason.Value(f"REASON_{reason}")
    first = make_receipt(fingerprint=-(2**63))

    row = flatten("pi-1", "outbox", make_follow_up(first, reason=given, why=why))

    assert (row.route, row.reason, row.follow_up) == stored
    assert row.follows == -(2**63)
    assert row.offload_energy_provenance == "none"


def test_follow_up_of_the_fingerprint_0_is_one() -> None:
    given = make_follow_up(make_receipt(), reason=receipt_pb2.REASON_AUDITED, why=AUDIT)

    assert flatten("pi-1", "outbox", given).follows == 0
    assert flatten("pi-1", "outbox", make_receipt()).follows is None


@pytest.mark.parametrize("why", [DEFERRED, AUDIT])
def test_first_receipt_may_announce_a_follow_up(why: receipt_pb2.FollowUp.ValueType) -> None:
    row = flatten("pi-1", "outbox", make_receipt(follow_up=why))

    assert (row.follow_up, row.follows) == ("audit" if why == AUDIT else "deferred", None)


@pytest.mark.parametrize("reason", ["DEFERRED", "AUDITED", "EXPIRED"])
def test_reason_of_a_follow_up_in_a_first_receipt_is_rejected(reason: str) -> None:
    receipt = make_receipt(follow_up=AUDIT)
    receipt.route.reason = receipt_pb2.Reason.Value(f"REASON_{reason}")

    with pytest.raises(ReceiptError, match=f"route.reason {reason.lower()} .* without follows"):
        flatten("pi-1", "outbox", receipt)


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        ("ACCEPTED", AUDIT),
        ("UNREACHABLE", DEFERRED),
        ("AUDITED", DEFERRED),
        ("DEFERRED", AUDIT),
        ("AUDITED", 0),
        ("DEFERRED", 0),
        ("EXPIRED", 0),
    ],
)
def test_follow_up_with_a_reason_of_something_else_is_rejected(
    reason: str, why: receipt_pb2.FollowUp.ValueType
) -> None:
    given = receipt_pb2.Reason.Value(f"REASON_{reason}")

    with pytest.raises(ReceiptError, match=f"route.reason {reason.lower()} in a follow-up"):
        flatten("pi-1", "outbox", make_follow_up(make_receipt(), reason=given, why=why))


def test_follow_up_without_the_first_answer_is_rejected() -> None:
    receipt = make_follow_up(make_receipt(), reason=receipt_pb2.REASON_AUDITED, why=AUDIT)
    receipt.ClearField("device_answer")
    receipt.ClearField("device_confidence")

    with pytest.raises(ReceiptError, match="without a device_answer"):
        flatten("pi-1", "outbox", receipt)


@pytest.mark.parametrize("follows", [None, 7])
def test_unknown_follow_up_is_rejected(follows: int | None) -> None:
    receipt = make_receipt()
    receipt.MergeFromString(b"\xb8\x01\x09")  # follow_up = 9
    if follows is not None:
        receipt.follows = follows

    with pytest.raises(ReceiptError, match="follow_up 9"):
        flatten("pi-1", "outbox", receipt)
