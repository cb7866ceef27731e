"""A label is the same after a table or a command line."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nestling.v1.bundle_pb2 import Signature, Value
from nestling_cloud.inputs.label_forms import (
    label_columns,
    label_fields,
    label_from_words,
    label_in,
    label_line,
    unwritable_class,
)
from nestling_cloud.store.label import Label, LabelError, check_label

SINGLE = Signature(classes=["low", "a | b"])
MULTI = Signature(classes=["low", "very high"], kind="multi-label")
VALUES = Signature(values=[Value(name="flow"), Value(name="a=b")], kind="regression")
ANOMALY = Signature(classes=["normal", "leak"], kind="anomaly")

FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)


def through_a_table(label: Label | None, signature: Signature) -> Label | None:
    row = dict(zip(label_columns(signature), label_fields(label, signature), strict=True))
    return label_in(row, signature)


@pytest.mark.parametrize(
    ("signature", "label"),
    [
        (SINGLE, "a | b"),
        (MULTI, []),
        (MULTI, ["low"]),
        (MULTI, ["low", "very high"]),
        (ANOMALY, "leak"),
        (VALUES, {"flow": 0.0, "a=b": 0.0}),
        *((signature, None) for signature in (SINGLE, MULTI, VALUES, ANOMALY)),
    ],
)
def test_label_comes_back_from_a_table(signature: Signature, label: Label | None) -> None:
    assert through_a_table(label, signature) == label


@given(FLOATS, FLOATS)
@example(0.0, float(np.finfo(np.float32).max))  # its nine digits are a little more
def test_single_precision_comes_back_from_a_table(flow: float, head: float) -> None:
    label = through_a_table({"flow": flow, "a=b": head}, VALUES)

    assert isinstance(label, dict)
    found = [label[name] for name in ("flow", "a=b")]
    assert found == pytest.approx([flow, head], rel=1e-8, abs=0)


def test_separator_may_have_spaces_around_it() -> None:
    assert label_in({"label": " very high |low"}, MULTI) == ["low", "very high"]


@pytest.mark.parametrize(
    ("signature", "row", "message"),
    [
        (MULTI, {"label": "low|middle"}, '"middle" is not a class'),
        (VALUES, {"flow": "1", "a=b": ""}, "'' is not a number, for 'a=b'"),
        (VALUES, {"flow": "1", "a=b": "nan"}, "NaN is not a finite number"),
        (ANOMALY, {"label": "0"}, '"0" is not a class'),
    ],
)
def test_field_that_is_no_label_is_refused(
    signature: Signature, row: dict[str, str], message: str
) -> None:
    with pytest.raises(LabelError, match=message):
        label_in(row, signature)


@pytest.mark.parametrize(
    ("signature", "words", "label"),
    [
        (SINGLE, ["a | b"], "a | b"),
        (MULTI, ["very high", "low"], ["low", "very high"]),
        (MULTI, [], []),
        (VALUES, ["a=b=-2e3", "flow=1.5"], {"flow": 1.5, "a=b": -2000.0}),
        (ANOMALY, ["normal"], "normal"),
    ],
)
def test_words_make_a_label(signature: Signature, words: list[str], label: Label) -> None:
    assert check_label(label_from_words(words, signature), signature) == label


@pytest.mark.parametrize(
    ("signature", "words", "message"),
    [
        (SINGLE, ["low", "low"], "is not a class of the task"),
        (SINGLE, [], "is not a class of the task"),
        (VALUES, ["1.5"], "'1.5' is not one of flow=NUMBER, a=b=NUMBER"),
        (VALUES, ["flow=1", "flow=2"], "'flow=2' is not one of"),
        (VALUES, ["flow=x"], "'x' is not a number, for 'flow'"),
        (VALUES, ["flow=1"], "a number for each of"),
        (VALUES, [], "a number for each of"),
    ],
)
def test_words_that_make_no_label_are_refused(
    signature: Signature, words: list[str], message: str
) -> None:
    with pytest.raises(LabelError, match=message):
        check_label(label_from_words(words, signature), signature)


def test_label_is_shown_in_one_line() -> None:
    assert label_line("leak") == "leak"
    assert label_line(["low", "very high"]) == "low | very high"
    assert label_line([]) == "none"
    assert label_line({"flow": 1.5, "head": 1e6}) == "flow=1.5 head=1000000"


@pytest.mark.parametrize("name", ["a|b", " low", "low ", ""])
def test_class_that_joined_names_cannot_hold_is_found(name: str) -> None:
    classes = ["high", name]

    assert unwritable_class(Signature(classes=classes, kind="multi-label")) == name
    assert unwritable_class(Signature(classes=classes)) is None
