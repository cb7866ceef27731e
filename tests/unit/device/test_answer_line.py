import json

from nestling.v1 import receipt_pb2
from nestling.v1.receipt_pb2 import Receipt, Route
from nestling_device.answer_line import answer_line


def receipt(capacity: int = 2) -> Receipt:
    made = Receipt(
        input_index=4,
        bundle_version="hand-1-abc",
        route=Route(capacity=capacity, reason=receipt_pb2.REASON_ESCALATED),
        latency_ms=1.25,
        latency_provenance=receipt_pb2.PROVENANCE_MEASURED,
    )
    made.energy.add(source="compute", energy_mj=1.5, provenance=receipt_pb2.PROVENANCE_MEASURED)
    made.energy.add(source="radio", energy_mj=2.0, provenance=receipt_pb2.PROVENANCE_MODELLED)
    return made


def test_json_has_all_that_a_program_needs() -> None:
    assert json.loads(answer_line(receipt(), "run", as_json=True)) == {
        "input": 4,
        "answer": "run",
        "route": "capacity-2",
        "reason": "escalated",
        "latency_ms": 1.25,
        "latency_provenance": "measured",
        "energy_mj": 3.5,
        "energy_provenance": "modelled",  # a sum is as certain as its least certain part
        "bundle": "hand-1-abc",
    }


def test_people_read_the_same_in_columns() -> None:
    line = answer_line(receipt(0), "run", as_json=False)

    assert line.split()[:4] == ["4", "run", "cloud", "escalated"]
    assert line.split()[4:] == ["1.25", "ms", "measured", "3.500", "mJ", "modelled"]


def test_energy_that_nobody_knows_has_no_provenance() -> None:
    bare = receipt()
    del bare.energy[:]

    assert json.loads(answer_line(bare, "run", as_json=True))["energy_provenance"] == "unspecified"
