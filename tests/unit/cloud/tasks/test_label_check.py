"""Labels that do not suit the kind of their task."""

from typing import Any

import numpy as np
import pytest

from nestling.v1.bundle_pb2 import Signature, Value
from nestling_cloud.tasks.label_check import label_fault
from nestling_core.kinds.of_signature import kind_of

CLASSES = ["a", "b", "c"]
KINDS = {
    "single-label": Signature(classes=CLASSES),
    "multi-label": Signature(kind="multi-label", classes=CLASSES),
    "regression": Signature(kind="regression", values=[Value(name="x", tolerance=1)]),
    "anomaly": Signature(kind="anomaly", classes=["normal", "broken"]),
}


def fault(kind: str, labels: Any, *, trained_on: bool = True) -> str | None:
    signature = KINDS[kind]
    return label_fault(
        kind_of(signature), signature.classes, np.asarray(labels), trained_on=trained_on
    )


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("single-label", [0, 1, 2]),
        ("multi-label", [[True, False, True], [False, True, False]]),
        ("regression", np.array([[0.5], [-3.0]], np.float32)),
        ("anomaly", [0, 0]),
        ("anomaly", [0, 1]),
    ],
)
def test_labels_of_their_kind_are_accepted(kind: str, labels: Any) -> None:
    assert fault(kind, labels) is None


@pytest.mark.parametrize(
    ("kind", "labels", "words"),
    [
        ("single-label", [0.0, 1.0], "must be int64"),
        ("single-label", [0, 3], "must be 0 to 2"),
        ("single-label", [0, 1], "no example of 'c'"),
        ("single-label", [1, 1], "every label is 'b'"),
        ("multi-label", [[1, 0, 1]], "must be bool \\(1, 3\\)"),
        ("multi-label", [[True, False]], "must be bool \\(1, 3\\)"),
        ("multi-label", [[True, False, True]], "no example of 'b'"),
        ("regression", [[1.0]], "float64 .* must be float32 \\(1, 1\\)"),
        ("regression", np.ones(3, np.float32), "must be float32 \\(3, 1\\)"),
        ("regression", np.array([[1], [np.nan]], np.float32), "not finite, .* labels\\[1\\]"),
        ("anomaly", [0, 2], "must be 0 to 1"),
        ("anomaly", [1, 1], "no example is 'normal'"),
    ],
)
def test_labels_that_do_not_suit_their_kind_are_named(kind: str, labels: Any, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(fault(kind, labels))


def test_data_that_nothing_is_trained_on_may_lack_classes() -> None:
    assert fault("single-label", [1, 1], trained_on=False) is None
    assert fault("multi-label", [[False] * 3], trained_on=False) is None
    assert fault("anomaly", [1, 1], trained_on=False) is None
