import json

import pytest

from nestling.v1 import receipt_pb2
from nestling.v1.receipt_pb2 import Receipt, Route
from nestling_core.kinds.labels import SingleLabel
from nestling_device.commands.answer_format import (
    answer_line,
    guarantee_line,
    guarantee_text,
    is_revision,
    revision_line,
)
from nestling_device.inference.field_guarantee import GuaranteeStatus
from nestling_device.sources.source import Origin

NO_ORIGIN = Origin()
KIND = SingleLabel(("sit", "walk", "run"))
STRANGE = Origin(file="a\nb.npy", window=3, id="porch\x1b[2J\n")


def receipt(capacity: int = 2) -> Receipt:
    made = Receipt(
        input_index=4,
        bundle_version="hand-1-abc",
        answer=2,
        route=Route(capacity=capacity, reason=receipt_pb2.REASON_ESCALATED),
        latency_ms=1.25,
        latency_provenance=receipt_pb2.PROVENANCE_MEASURED,
        success=[0.25, 0.75, 0.875],  # of capacities 1 and 2, and of the cloud
        device_confidence=0.625,  # with what the device knows about the stream
    )
    made.energy.add(source="compute", energy_mj=1.5, provenance=receipt_pb2.PROVENANCE_MEASURED)
    made.energy.add(source="radio", energy_mj=2.0, provenance=receipt_pb2.PROVENANCE_MODELLED)
    return made


def test_json_has_every_key() -> None:
    assert json.loads(answer_line(receipt(), KIND, NO_ORIGIN, as_json=True)) == {
        "input": 4,
        "answer": "run",
        "confidence": 0.625,
        "route": "capacity-2",
        "reason": "escalated",
        "latency_ms": 1.25,
        "latency_provenance": "measured",
        "energy_mj": 3.5,
        "energy_provenance": "modelled",  # a sum is as certain as its least certain part
        "bundle": "hand-1-abc",
    }


def test_columns_hold_the_same_values() -> None:
    line = answer_line(receipt(0), KIND, NO_ORIGIN, as_json=False)

    assert line.split()[:4] == ["4", "run", "cloud", "escalated"]
    assert line.split()[4:] == ["1.25", "ms", "measured", "3.500", "mJ", "modelled", "87.5%"]


def test_unknown_energy_has_no_provenance() -> None:
    bare = receipt()
    del bare.energy[:]

    assert (
        json.loads(answer_line(bare, KIND, NO_ORIGIN, as_json=True))["energy_provenance"]
        == "unspecified"
    )


@pytest.mark.parametrize(("capacity", "confidence"), [(1, 0.625), (2, 0.625), (0, 0.875)])
def test_confidence_is_the_devices_own_or_the_clouds_success(
    capacity: int, confidence: float
) -> None:
    line = answer_line(receipt(capacity), KIND, NO_ORIGIN, as_json=True)

    assert json.loads(line)["confidence"] == confidence


def test_confidence_is_unknown_if_no_capacity_ran_on_the_input() -> None:
    unseen = receipt(0)
    del unseen.success[:]

    assert json.loads(answer_line(unseen, KIND, NO_ORIGIN, as_json=True))["confidence"] is None
    assert answer_line(unseen, KIND, NO_ORIGIN, as_json=False).endswith("-")


def test_answer_carries_the_origin_of_its_input() -> None:
    origin = Origin(file="a\nb.npy", window=3, id="porch/1")

    answer = json.loads(answer_line(receipt(), KIND, origin, as_json=True))

    assert (answer["file"], answer["window"], answer["id"]) == ("a\nb.npy", 3, "porch/1")


def test_line_break_in_a_file_name_is_escaped() -> None:
    line = answer_line(receipt(), KIND, Origin(file="a\nb.npy", window=3), as_json=False)

    assert line.endswith("a\\nb.npy:3")


def follow_up(reason: receipt_pb2.Reason.ValueType = receipt_pb2.REASON_DEFERRED) -> Receipt:
    made = Receipt(
        input_index=4,
        bundle_version="hand-1-abc",
        route=Route(capacity=0, reason=reason),
        answer=2,
        device_answer=1,
        agreement=0.0,
        latency_ms=90_000.25,
        latency_provenance=receipt_pb2.PROVENANCE_MEASURED,
        follows=-5,
    )
    made.energy.add(source="radio", energy_mj=2.0, provenance=receipt_pb2.PROVENANCE_MODELLED)
    return made


def test_revision_as_json_has_every_key_and_names_both_answers() -> None:
    line = revision_line(follow_up(), KIND, Origin(id="w-7"), as_json=True)

    assert json.loads(line) == {
        "input": 4,
        "id": "w-7",
        "answer": "run",
        "revises": "walk",
        "route": "cloud",
        "reason": "deferred",
        "later_ms": 90_000.25,
        "energy_mj": 2.0,
        "energy_provenance": "modelled",
        "bundle": "hand-1-abc",
    }


def test_revision_in_columns_lines_up_with_an_answer() -> None:
    answer = answer_line(receipt(0), KIND, NO_ORIGIN, as_json=False)

    line = revision_line(follow_up(), KIND, NO_ORIGIN, as_json=False)

    assert line.split() == [
        *("4", "run", "cloud", "deferred", "90.0", "s", "later"),
        *("2.000", "mJ", "modelled", "revises", "walk"),
    ]
    for column in ("run", "cloud", "mJ", "modelled"):
        assert line.index(column) == answer.index(column)


def test_origin_of_a_revision_is_escaped_and_stays_on_one_line() -> None:
    columns = revision_line(follow_up(), KIND, STRANGE, as_json=False)
    as_json = revision_line(follow_up(), KIND, STRANGE, as_json=True)

    assert columns.endswith("  revises walk  a\\nb.npy:3  porch\\x1b[2J\\n")
    assert len(as_json.splitlines()) == 1
    entry = json.loads(as_json)
    assert (entry["file"], entry["window"], entry["id"]) == (STRANGE.file, 3, STRANGE.id)


@pytest.mark.parametrize(
    ("reason", "changed", "news"),
    [
        (receipt_pb2.REASON_DEFERRED, True, True),
        (receipt_pb2.REASON_DEFERRED, False, True),  # someone waits for it
        (receipt_pb2.REASON_AUDITED, True, True),
        (receipt_pb2.REASON_AUDITED, False, False),
        (receipt_pb2.REASON_EXPIRED, False, False),
    ],
)
def test_follow_up_is_revision_if_someone_waits_for_it_or_an_answer_changes(
    reason: receipt_pb2.Reason.ValueType, *, changed: bool, news: bool
) -> None:
    made = follow_up(reason)
    made.device_answer, made.agreement = made.answer - changed, float(not changed)

    assert is_revision(made) == news


@pytest.mark.parametrize(
    ("since_ms", "inputs_to_go", "text"),
    [
        (7, None, "certified: the cloud would change at most 5.0% of the kept answers"),
        (
            None,
            12_345,
            (
                "not certified, about 12,345 inputs to go: the cloud would change at most 5.0% of "
                "the kept answers; every input is sent"
            ),
        ),
        (
            None,
            None,
            (
                "not certified: the cloud would change at most 5.0% of the kept answers; every "
                "input is sent"
            ),
        ),
    ],
)
def test_guarantee_is_stated_in_words_and_as_json(
    since_ms: int | None, inputs_to_go: int | None, text: str
) -> None:
    status = GuaranteeStatus(risk=0.05, since_ms=since_ms, inputs_to_go=inputs_to_go, alarms=0)

    assert guarantee_text(status) == text
    assert json.loads(guarantee_line(status)) == {
        "event": "guarantee",
        "risk": 0.05,
        "certified": since_ms is not None,
        "inputs_to_go": inputs_to_go,
    }
