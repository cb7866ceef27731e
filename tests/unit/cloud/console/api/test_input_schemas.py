"""Answers are given as text for people, and as labels and receipts for programs."""

from typing import Any

import pytest

from nestling.v1.bundle_pb2 import Signature, Value
from nestling_cloud.console.api.input_schemas import AnswerMessage, HardInputMessage, InputMessage
from nestling_cloud.inputs.released_labels import ReleasedLabels
from nestling_cloud.store.labeled_inputs import StoredInput
from nestling_core.kinds.kind import Answer
from tests.support.stored_inputs import NOON_MS, stored_input

SINGLE = Signature(classes=["a", "b", "c"])
MULTI = Signature(classes=["a", "b", "c"], kind="multi-label")
VALUES = Signature(
    values=[
        Value(name="flow", unit="l/s", tolerance=1),
        Value(name="head", unit="m", tolerance=1),
    ],
    kind="regression",
)
ANOMALY = Signature(classes=["normal", "leak"], kind="anomaly")


def released(signature: Signature) -> ReleasedLabels:
    return ReleasedLabels(task="hand", signature=signature)


@pytest.mark.parametrize(
    ("signature", "answer", "text", "label"),
    [
        (SINGLE, Answer(1), "b", "b"),
        (MULTI, Answer(5), "a + c", ["a", "c"]),
        (MULTI, Answer(0), "none", []),
        (VALUES, Answer(0, (2.0, 0.5)), "flow 2 l/s, head 0.5 m", {"flow": 2.0, "head": 0.5}),
        (ANOMALY, Answer(1, (2.5,)), "leak (2.5)", "leak"),
    ],
)
def test_answer_has_a_text_a_label_and_its_code(
    signature: Signature, answer: Answer, text: str, label: Any
) -> None:
    expected = {"text": text, "label": label, "code": answer.code, "values": answer.values}

    assert AnswerMessage.of("hand", answer, released(signature)).model_dump() == expected


@pytest.mark.parametrize(
    ("task", "signature"),
    [
        ("other", SINGLE),
        ("hand", VALUES),
        ("hand", ANOMALY),
        ("hand", Signature(kind="detection")),
        ("hand", None),
    ],
)
def test_answer_that_the_released_bundle_does_not_have_is_no_text(
    task: str, signature: Signature | None
) -> None:
    known = None if signature is None else released(signature)

    message = AnswerMessage.of(task, Answer(2), known)

    assert (message.text, message.label, message.code) == (None, None, 2)


def test_inputs_have_both_answers_and_whether_they_agree() -> None:
    answers = (Answer(0, (2.0, 0.5)), Answer(0, (4.0, 0.5)))
    hard = stored_input([[1.0]], answers=answers, agrees=False)
    one = StoredInput(
        id=7,
        device="porch",
        task="hand",
        received_at_ms=NOON_MS,
        input_index=0,
        audited=False,
        shape=(1, 1),
        device_answer=answers[0],
        cloud_answer=answers[1],
        agrees=False,
        label={"flow": 3.0, "head": 0.5},
        labeled_by="ann",
        labeled_at_ms=5,
    )

    for message in (
        HardInputMessage.of(hard, released(VALUES)),
        InputMessage.of(one, released(VALUES)),
    ):
        found = message.model_dump()
        assert found["device_answer"]["text"] == "flow 2 l/s, head 0.5 m"
        assert found["cloud_answer"]["values"] == (4.0, 0.5)
        assert found["agrees"] is False
    assert InputMessage.of(one, released(VALUES)).label == {"flow": 3.0, "head": 0.5}


def test_input_that_no_student_saw_has_no_answer_of_the_device() -> None:
    hard = stored_input([[1.0]], answers=(None, 1))

    message = HardInputMessage.of(hard, released(SINGLE))

    assert (message.device_answer, message.agrees) == (None, None)
