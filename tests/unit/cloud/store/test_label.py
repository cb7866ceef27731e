"""A label is what the task's kind allows, and comes back from the store as it was."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling.v1.bundle_pb2 import Signature, Value
from nestling_cloud.store.label import LabelError, check_label, label_from, label_text

SIGNATURE = Signature(classes=["low", "Öl\n", ""])


@pytest.mark.parametrize("label", list(SIGNATURE.classes))
def test_name_of_a_class_is_a_label(label: str) -> None:
    assert check_label(label, SIGNATURE) == label


@pytest.mark.parametrize("label", ["high", "LOW", None, 0, True, ["low"], {"label": "low"}])
def test_anything_else_is_refused_with_the_names_of_the_classes(label: Any) -> None:
    with pytest.raises(LabelError, match=r'its classes: "low", "Öl\\n", ""$'):
        check_label(label, SIGNATURE)


def test_anomaly_is_a_class() -> None:
    signature = Signature(classes=["normal", "leak"], kind="anomaly")

    assert check_label("leak", signature) == "leak"


@pytest.mark.parametrize(
    "signature",
    [
        Signature(classes=["low", "high"], kind="multi-label"),
        Signature(values=[Value(name="flow")], kind="regression"),
    ],
)
def test_tasks_without_one_class_an_input_take_no_labels(signature: Signature) -> None:
    with pytest.raises(LabelError, match=f"inputs of a {signature.kind} task cannot be labeled"):
        check_label("low", signature)


@given(st.text())
def test_stored_label_comes_back(label: str) -> None:
    assert label_from(label_text(label)) == label


@pytest.mark.parametrize("text", ["", "low", "1", "null", '["low"]', '"low'])
def test_damaged_label_is_an_error(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        label_from(text)
