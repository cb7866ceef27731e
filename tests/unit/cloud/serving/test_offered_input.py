"""Answers from the wire become those of the task's kind, and impossible ones are not stored."""

from collections.abc import Sequence

import numpy as np
import pytest

from nestling.inference.v2.inference_pb2 import ModelInferRequest
from nestling.offload_parameters import values_text
from nestling_cloud.serving.offered_input import OfferedInput, offered_input
from nestling_cloud.store.hard_inputs import HardInput
from nestling_core.kinds.anomaly import Anomaly
from nestling_core.kinds.kind import Answer, Kind
from nestling_core.kinds.labels import MultiLabel, SingleLabel
from nestling_core.kinds.regression import Regression

ROW = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
SINGLE = SingleLabel(("a", "b", "c"))
MULTI = MultiLabel(("a", "b", "c"))
VALUES = Regression(("pitch", "strength"), ("Hz", "V"), (60.0, 0.2))
ANOMALY = Anomaly(("normal", "broken"))


def request(
    *,
    device: str | None = "pi-1",
    index: int | None = 7,
    answer: int | None = 2,
    values: str | None = None,
) -> ModelInferRequest:
    made = ModelInferRequest(model_name="teacher")
    if device is not None:
        made.parameters["device_id"].string_param = device
    if index is not None:
        made.parameters["input_index"].int64_param = index
    if answer is not None:
        made.parameters["device_answer"].int64_param = answer
    if values is not None:
        made.parameters["device_values"].string_param = values
    return made


def offered(
    given: ModelInferRequest, outputs: Sequence[float] = (0.0, 3.0, 1.0)
) -> OfferedInput | None:
    return offered_input(given, ROW, np.array([outputs], np.float32), now_ms=5)


def stored(given: ModelInferRequest, outputs: Sequence[float], kind: Kind) -> HardInput | None:
    found = offered(given, outputs)
    return None if found is None else found.hard_input("hand", kind)


def test_hard_input_has_both_answers_and_the_values() -> None:
    expected = HardInput(
        task="hand",
        device="pi-1",
        received_at_ms=5,
        input_index=7,
        values=ROW.tobytes(),
        shape=(2, 3),
        device_answer=Answer(2),
        cloud_answer=Answer(1),
        agrees=False,
    )

    assert expected == stored(request(), (0.0, 3.0, 1.0), SINGLE)


@pytest.mark.parametrize(
    ("kind", "device", "outputs", "cloud", "agrees"),
    [
        (SINGLE, Answer(1), (0, 3, 1), Answer(1), True),
        (MULTI, Answer(0b101), (2, -1, 1), Answer(0b101), True),
        (MULTI, Answer(0b100), (2, -1, 1), Answer(0b101), False),
        (MULTI, Answer(0), (-2, -1, -1), Answer(0), True),
        (VALUES, Answer(0, (300.5, 1.0)), (350.5, 1.125), Answer(0, (350.5, 1.125)), True),
        (VALUES, Answer(0, (300.5, 1.0)), (350.5, 1.25), Answer(0, (350.5, 1.25)), False),
        (ANOMALY, Answer(1, (1.5,)), (0.0,), Answer(0, (1.0,)), False),
    ],
)
def test_answers_of_every_kind_are_compared_as_the_kind_does(
    kind: Kind, device: Answer, outputs: Sequence[float], cloud: Answer, *, agrees: bool
) -> None:
    values = values_text(device.values) if device.values else None

    found = stored(request(answer=device.code, values=values), outputs, kind)

    assert found is not None
    assert (found.device_answer, found.cloud_answer) == (device, cloud)
    assert found.agrees is agrees


def test_gated_input_has_no_device_answer_and_agrees_with_nothing() -> None:
    found = stored(request(answer=None), (350.5, 1.125), VALUES)

    assert found is not None
    assert (found.device_answer, found.agrees) == (None, None)


@pytest.mark.parametrize(
    ("kind", "answer", "values", "outputs"),
    [
        (SINGLE, 3, None, (0, 3, 1)),
        (SINGLE, -1, None, (0, 3, 1)),
        (SINGLE, 1, "0.5", (0, 3, 1)),
        (SINGLE, 1, None, (0, 3, 1, 2)),  # of a model with other outputs
        (MULTI, 8, None, (0, 3, 1)),
        (VALUES, 0, None, (1, 2)),
        (VALUES, 0, "1.0", (1, 2)),
        (VALUES, 0, "1.0 nan", (1, 2)),
        (VALUES, 0, "1.0 2.0 3.0", (1, 2)),
        (VALUES, 1, "1.0 2.0", (1, 2)),
        (VALUES, 0, "1.0 2.0", (1, np.inf)),
        (ANOMALY, 0, "1.5", (0.0,)),
        (ANOMALY, 1, None, (0.0,)),
    ],
)
def test_input_with_an_answer_that_the_task_does_not_have_is_not_stored(
    kind: Kind, answer: int, values: str | None, outputs: Sequence[float]
) -> None:
    assert stored(request(answer=answer, values=values), outputs, kind) is None


@pytest.mark.parametrize("audit", [True, False])
def test_audited_input_is_told_apart_from_a_hard_one(*, audit: bool) -> None:
    given = request()
    given.parameters["audit"].bool_param = audit

    found = offered(given)

    assert found is not None
    assert found.audited == audit


@pytest.mark.parametrize(
    "given",
    [
        request(device=None),
        request(index=None),
        request(device="a/b"),
        request(device=""),
        request(values="1.0 x"),
    ],
)
def test_request_without_valid_device_parameters_is_not_offered(given: ModelInferRequest) -> None:
    assert offered(given) is None


def test_request_of_several_inputs_is_not_offered() -> None:
    rows, outputs = np.repeat(ROW, 2, axis=0), np.zeros((2, 3), np.float32)

    assert offered_input(request(), rows, outputs, now_ms=5) is None
