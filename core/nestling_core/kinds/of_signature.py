"""Finds the kind of a task in its signature."""

import math

from nestling.v1.bundle_pb2 import Signature
from nestling_core.kinds.anomaly import Anomaly
from nestling_core.kinds.kind import Kind, KindError, name_of
from nestling_core.kinds.labels import MOST_LABELS, MultiLabel, SingleLabel
from nestling_core.kinds.regression import Regression

NAMES = (SingleLabel.name, MultiLabel.name, Regression.name, Anomaly.name)
"""The names of all kinds."""


def kind_of(signature: Signature) -> Kind:
    """Return the kind of a task.

    Raises:
        KindError: the kind is unknown, or the signature lacks what the kind needs.
    """
    name, classes = name_of(signature), tuple(signature.classes)
    if name not in NAMES:
        raise KindError(f"kind {name!r} is unknown; use one of {', '.join(NAMES)}")
    if (name == Regression.name) != bool(signature.values):
        needed = "at least one value" if name == Regression.name else "no values"
        raise KindError(f"a signature of the kind {name!r} needs {needed}")
    if name == Regression.name:
        return _regression(signature)
    if len(classes) < 2:
        raise KindError(f"a signature of the kind {name!r} needs at least two classes")
    if name == Anomaly.name:
        if len(classes) != 2:
            raise KindError("an anomaly task has two classes: what is normal, then the anomaly")
        return Anomaly((classes[0], classes[1]))
    if name == MultiLabel.name:
        if len(classes) > MOST_LABELS:
            raise KindError(f"a multi-label task has at most {MOST_LABELS} classes")
        return MultiLabel(classes)
    return SingleLabel(classes)


def _regression(signature: Signature) -> Regression:
    if signature.classes:
        raise KindError("a regression task has values and no classes")
    for value in signature.values:
        if not (value.tolerance > 0 and math.isfinite(value.tolerance)):
            raise KindError(
                f"value {value.name!r} needs a tolerance above 0: the largest error with which an "
                "answer counts as right"
            )
    return Regression(
        tuple(value.name for value in signature.values),
        tuple(value.unit for value in signature.values),
        tuple(value.tolerance for value in signature.values),
    )
