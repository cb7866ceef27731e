import json

import pytest

from nestling.v1 import receipt_pb2
from nestling.v1.receipt_pb2 import Receipt, Route
from nestling_device.commands.answer_format import answer_line
from nestling_device.sources.source import Origin

NO_ORIGIN = Origin()


def receipt(capacity: int = 2) -> Receipt:
    made = Receipt(
        input_index=4,
        bundle_version="hand-1-abc",
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
    assert json.loads(answer_line(receipt(), "run", NO_ORIGIN, as_json=True)) == {
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
    line = answer_line(receipt(0), "run", NO_ORIGIN, as_json=False)

    assert line.split()[:4] == ["4", "run", "cloud", "escalated"]
    assert line.split()[4:] == ["1.25", "ms", "measured", "3.500", "mJ", "modelled", "87.5%"]


def test_unknown_energy_has_no_provenance() -> None:
    bare = receipt()
    del bare.energy[:]

    assert (
        json.loads(answer_line(bare, "run", NO_ORIGIN, as_json=True))["energy_provenance"]
        == "unspecified"
    )


@pytest.mark.parametrize(("capacity", "confidence"), [(1, 0.625), (2, 0.625), (0, 0.875)])
def test_confidence_is_the_devices_own_or_the_clouds_success(
    capacity: int, confidence: float
) -> None:
    line = answer_line(receipt(capacity), "run", NO_ORIGIN, as_json=True)

    assert json.loads(line)["confidence"] == confidence


def test_confidence_is_unknown_if_no_capacity_ran_on_the_input() -> None:
    unseen = receipt(0)
    del unseen.success[:]

    assert json.loads(answer_line(unseen, "run", NO_ORIGIN, as_json=True))["confidence"] is None
    assert answer_line(unseen, "run", NO_ORIGIN, as_json=False).endswith("-")


def test_answer_carries_the_origin_of_its_input() -> None:
    origin = Origin(file="a\nb.npy", window=3, id="porch/1")

    answer = json.loads(answer_line(receipt(), "run", origin, as_json=True))

    assert (answer["file"], answer["window"], answer["id"]) == ("a\nb.npy", 3, "porch/1")


def test_line_break_in_a_file_name_is_escaped() -> None:
    line = answer_line(receipt(), "run", Origin(file="a\nb.npy", window=3), as_json=False)

    assert line.endswith("a\\nb.npy:3")
