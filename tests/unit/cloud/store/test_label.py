"""A label is what the task's kind allows, and comes back from the store as it was."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling.v1.bundle_pb2 import Signature, Value
from nestling_cloud.store.label import (
    Label,
    LabelError,
    check_label,
    label_array,
    label_from,
    label_of,
    label_text,
)
from nestling_core.kinds.kind import Answer, Answers

SIGNATURE = Signature(classes=["low", "Öl\n", ""])
MULTI = Signature(classes=["low", "high"], kind="multi-label")
VALUES = Signature(values=[Value(name="flow"), Value(name="head")], kind="regression")
ANOMALY = Signature(classes=["normal", "leak"], kind="anomaly")


@pytest.mark.parametrize("label", list(SIGNATURE.classes))
def test_name_of_a_class_is_a_label(label: str) -> None:
    assert check_label(label, SIGNATURE) == label


@pytest.mark.parametrize("label", ["high", "LOW", None, 0, True, ["low"], {"label": "low"}])
def test_anything_else_is_refused_with_the_names_of_the_classes(label: Any) -> None:
    with pytest.raises(LabelError, match=r'its classes: "low", "Öl\\n", ""$'):
        check_label(label, SIGNATURE)


def test_anomaly_is_a_class() -> None:
    assert check_label("leak", ANOMALY) == "leak"


@pytest.mark.parametrize(
    ("label", "expected"),
    [([], []), (["low"], ["low"]), (["high", "low"], ["low", "high"]), (["low"] * 2, ["low"])],
)
def test_multi_label_is_a_list_of_classes_in_their_order(
    label: list[str], expected: list[str]
) -> None:
    assert check_label(label, MULTI) == expected


@pytest.mark.parametrize("label", ["low", None, {"low": True}, 1])
def test_multi_label_that_is_no_list_is_refused(label: Any) -> None:
    with pytest.raises(LabelError, match=r'is not a list of classes; its classes: "low", "high"$'):
        check_label(label, MULTI)


@pytest.mark.parametrize("label", [["middle"], ["low", 1], [["low"]], [None]])
def test_multi_label_with_another_class_is_refused(label: Any) -> None:
    with pytest.raises(LabelError, match="is not a class of the task"):
        check_label(label, MULTI)


def test_values_are_an_object_in_their_order() -> None:
    label = check_label({"head": 2, "flow": -0.5}, VALUES)

    assert label_text(label) == '{"flow": -0.5, "head": 2.0}'


@pytest.mark.parametrize(
    "label", [1.5, [1.5, 2], {"flow": 1}, {"flow": 1, "head": 2, "more": 3}, None, "flow"]
)
def test_values_must_all_be_there_and_no_others(label: Any) -> None:
    with pytest.raises(LabelError, match=r'an object with a number for each of "flow", "head"$'):
        check_label(label, VALUES)


@pytest.mark.parametrize("value", ["1", True, None, float("nan"), float("inf"), 1e39, 10**400])
def test_value_that_is_no_finite_number_is_refused(value: Any) -> None:
    with pytest.raises(LabelError, match=r'is not a finite number, for "head"$'):
        check_label({"flow": 1, "head": value}, VALUES)


@pytest.mark.parametrize(
    ("signature", "answer", "label"),
    [
        (SIGNATURE, Answer(1), "Öl\n"),
        (MULTI, Answer(0b11), ["low", "high"]),
        (MULTI, Answer(0), []),
        (VALUES, Answer(0, (1.5, 2.0)), {"flow": 1.5, "head": 2.0}),
        (ANOMALY, Answer(1, (3.5,)), "leak"),
    ],
)
def test_answer_becomes_the_label_for_which_it_is_right(
    signature: Signature, answer: Answer, label: Label
) -> None:
    assert label_of(answer, signature) == label
    assert check_label(label, signature) == label


@pytest.mark.parametrize(
    ("signature", "labels", "expected"),
    [
        (SIGNATURE, ["", "low"], np.array([2, 0], np.int64)),
        (MULTI, [["high"], []], np.array([[False, True], [False, False]])),
        (VALUES, [{"flow": 1, "head": 2.5}], np.array([[1, 2.5]], np.float32)),
        (ANOMALY, ["leak", "normal"], np.array([1, 0], np.int64)),
        (MULTI, [], np.empty((0, 2), bool)),
        (VALUES, [], np.empty((0, 2), np.float32)),
        (SIGNATURE, [], np.empty(0, np.int64)),
    ],
)
def test_labels_become_an_array_as_in_examples(
    signature: Signature, labels: list[Label], expected: Answers
) -> None:
    found = label_array(labels, signature)

    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)


LABELS = st.one_of(
    st.text(),
    st.lists(st.text()),
    st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)),
)


@given(LABELS)
def test_stored_label_comes_back(label: Label) -> None:
    assert label_from(label_text(label)) == label


@pytest.mark.parametrize(
    "text", ["", "low", "1", "null", '["low", 1]', '"low', '{"flow": "1"}', '{"flow": NaN}']
)
def test_damaged_label_is_an_error(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        label_from(text)
