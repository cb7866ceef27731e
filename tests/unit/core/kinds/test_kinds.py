"""What the kinds of tasks have in common."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Signature, Value
from nestling.v1.receipt_pb2 import Receipt
from nestling_core.kinds.kind import Answer, Kind, KindError, agree, answer_of
from nestling_core.kinds.of_signature import NAMES, kind_of

PITCH = Value(name="pitch", unit="Hz", tolerance=5)
LOUD = Value(name="level", unit="dB", tolerance=0.5)
SIGNATURES = {
    "single-label": Signature(classes=["sit", "walk", "run"]),
    "multi-label": Signature(kind="multi-label", classes=["dog", "car", "rain"]),
    "regression": Signature(kind="regression", values=[PITCH, LOUD]),
    "anomaly": Signature(kind="anomaly", classes=["normal", "broken"]),
}
KINDS = {name: kind_of(signature) for name, signature in SIGNATURES.items()}
_kinds = st.sampled_from(list(KINDS.values()))


@st.composite
def _outputs(draw: st.DrawFn) -> tuple[Kind, NDArray[np.float32]]:
    kind = draw(_kinds)
    shape = (draw(st.integers(1, 5)), draw(st.sampled_from([kind.teacher_outputs])))
    floats = st.floats(-50, 50, width=32)
    return kind, draw(nps.arrays(np.float32, shape, elements=floats))


def test_every_kind_is_found_by_its_name() -> None:
    assert [kind.name for kind in KINDS.values()] == list(SIGNATURES) == list(NAMES)


@given(_outputs())
def test_answers_are_the_same_after_a_receipt(given: tuple[Kind, NDArray[np.float32]]) -> None:
    kind, outputs = given
    answers = kind.answers(outputs)

    found = []
    for answer in kind.packed(answers):
        receipt = Receipt(answer=answer.code, values=answer.values)
        receipt = Receipt.FromString(receipt.SerializeToString())
        found.append(Answer(receipt.answer, tuple(receipt.values)))

    assert np.array_equal(kind.unpacked(found), answers)
    assert all(kind.is_valid(answer) for answer in found)
    assert all(kind.text(answer) for answer in found)


@given(_outputs())
def test_every_answer_agrees_with_itself(given: tuple[Kind, NDArray[np.float32]]) -> None:
    kind, outputs = given
    answers = kind.answers(outputs)

    assert kind.success(answers, answers).all()
    assert kind.success(answers, answers).dtype == np.bool_
    assert agree(kind, *[answer_of(kind, outputs[0])] * 2)


@given(_outputs())
def test_group_of_an_answer_is_one_of_the_groups(given: tuple[Kind, NDArray[np.float32]]) -> None:
    kind, outputs = given

    assert all(0 <= kind.group(one) < kind.groups for one in kind.packed(kind.answers(outputs)))


@pytest.mark.parametrize(
    ("signature", "words"),
    [
        (Signature(kind="detection", classes=["a", "b"]), "kind 'detection' is unknown"),
        (Signature(classes=["a"]), "at least two classes"),
        (Signature(kind="multi-label", classes=["a"]), "at least two classes"),
        (Signature(kind="multi-label", classes=map(str, range(64))), "at most 63"),
        (Signature(kind="anomaly", classes=["a", "b", "c"]), "two classes: what is normal"),
        (Signature(kind="regression"), "at least one value"),
        (Signature(kind="regression", classes=["a", "b"], values=[PITCH]), "no classes"),
        (Signature(classes=["a", "b"], values=[PITCH]), "needs no values"),
        (Signature(kind="regression", values=[Value(name="x")]), "'x' needs a tolerance above 0"),
        (
            Signature(kind="regression", values=[Value(name="x", tolerance=float("inf"))]),
            "'x' needs a tolerance above 0",
        ),
    ],
)
def test_signature_that_does_not_suit_its_kind_is_refused(signature: Signature, words: str) -> None:
    with pytest.raises(KindError, match=words):
        kind_of(signature)
