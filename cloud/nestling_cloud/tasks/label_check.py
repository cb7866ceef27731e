"""Checks the labels of a task's examples against the kind of the task."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nestling_core.kinds.anomaly import Anomaly
from nestling_core.kinds.kind import Answers, Kind
from nestling_core.kinds.labels import MultiLabel, SingleLabel
from nestling_core.kinds.regression import Regression


def label_fault(
    kind: Kind, classes: Sequence[str], labels: Answers, *, trained_on: bool
) -> str | None:
    """Return what is wrong with the labels of some examples, or None if nothing is.

    Args:
        kind: the kind of the task.
        classes: the names of the classes.
        labels: the labels, (N, ...), with at least one row.
        trained_on: whether networks are trained on the examples, which must then have all classes.

    Returns:
        The fault, as a text that continues a sentence which names the part of the data.
    """
    match kind:
        case MultiLabel():
            return _fault_of_sets(classes, labels, trained_on=trained_on)
        case Regression():
            return _fault_of_values(kind, labels)
        case _:
            return _fault_of_classes(kind, classes, labels, trained_on=trained_on)


def _fault_of_classes(
    kind: Kind, classes: Sequence[str], labels: Answers, *, trained_on: bool
) -> str | None:
    if labels.ndim != 1 or labels.dtype != np.int64:
        return f"labels are {labels.dtype} {labels.shape}, but must be int64 ({len(labels)},)"
    if labels.min() < 0 or labels.max() >= len(classes):
        return f"labels must be 0 to {len(classes) - 1}"
    if not trained_on:
        return None
    present = np.unique(labels)
    if isinstance(kind, Anomaly):
        normal = f"no example is {classes[0]!r}, which a teacher of anomalies learns from"
        return None if 0 in present else normal
    if isinstance(kind, SingleLabel) and len(present) == 1:
        return f"every label is {classes[present[0]]!r}; add examples of other classes"
    return _missing(classes, np.isin(np.arange(len(classes)), present))


def _fault_of_sets(classes: Sequence[str], labels: Answers, *, trained_on: bool) -> str | None:
    wanted = (len(labels), len(classes))
    if labels.dtype != np.bool_ or labels.shape != wanted:
        return f"labels are {labels.dtype} {labels.shape}, but must be bool {wanted}"
    present: NDArray[np.bool_] = np.logical_or.reduce(labels, axis=0)
    return _missing(classes, present) if trained_on else None


def _missing(classes: Sequence[str], present: NDArray[np.bool_]) -> str | None:
    empty = [name for name, found in zip(classes, present, strict=True) if not found]
    if not empty:
        return None
    return (
        f"no example of {', '.join(map(repr, empty))}; add some, or remove the class from the "
        "signature"
    )


def _fault_of_values(kind: Regression, labels: Answers) -> str | None:
    wanted = (len(labels), len(kind.names))
    if labels.dtype != np.float32 or labels.shape != wanted:
        return f"labels are {labels.dtype} {labels.shape}, but must be float32 {wanted}"
    bad = np.flatnonzero(~np.isfinite(labels).all(axis=1))
    if len(bad):
        return f"{len(bad)} labels are not finite, the first is labels[{bad[0]}]"
    return None
