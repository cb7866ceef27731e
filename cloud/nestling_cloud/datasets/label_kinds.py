"""Decides from labels what kind of task they make, and turns them into numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.datasets.errors import DatasetError

Kind = Literal["single-label", "multi-label", "regression", "anomaly"]

NORMAL, ANOMALY = "normal", "anomaly"
_NORMAL_TEXTS = {NORMAL, "0", "0.0", "false", "no"}
_ANOMALY_TEXTS = {ANOMALY, "1", "1.0", "true", "yes"}
_MOST_NUMBERED = 20  # more different whole numbers are quantities, not classes


@dataclass(frozen=True, kw_only=True)
class LabelKind:
    """What the labels of a folder are.

    Attributes:
        kind: the kind of the task.
        classes: the classes in order; empty for a regression.
        values: the names of what a regression estimates.
    """

    kind: Kind
    classes: Sequence[str] = ()
    values: Sequence[str] = ()


def kind_of(
    labels: Sequence[Sequence[str]],
    *,
    columns: Sequence[str] = (),
    is_multiple: bool = False,
    wanted: Kind | None = None,
) -> LabelKind:
    """Decide what kind of task some labels make.

    Several labels for a file make a multi-label task. "normal" and "anomaly", or 0 and 1 in a
    column whose name begins with "anomal", make an anomaly task. Numbers in a column of a table or
    of recordings make a regression, unless they are at most 20 different whole numbers. Numbers in
    names of folders and files are always classes.

    Args:
        labels: the labels of every file or window.
        columns: the names of the columns that the labels come from, if they come from a table or
            from recordings.
        is_multiple: whether a file may have several labels.
        wanted: the kind, if it is known.

    Raises:
        DatasetError: the labels do not fit the wanted kind.
    """
    texts = {text for row in labels for text in row}
    kind = wanted or _likely(texts, columns, is_multiple=is_multiple)
    if kind == "regression":
        if not all(map(_is_number, texts)):
            odd = next(text for text in sorted(texts) if not _is_number(text))
            raise DatasetError(f"a regression needs numbers; found {odd!r}")
        return LabelKind(kind=kind, values=columns or ("value",))
    if kind == "anomaly":
        others = [text for text in sorted(texts) if _anomaly(text) is None]
        if others:
            raise DatasetError(
                "an anomaly task has the labels normal and anomaly, or 0 and 1; found "
                f"{others[0]!r}"
            )
        return LabelKind(kind=kind, classes=(NORMAL, ANOMALY))
    return LabelKind(kind=kind, classes=_ordered(texts))


def encode(labels: Sequence[Sequence[str]], kind: LabelKind) -> NDArray[Any]:
    """Return labels as numbers.

    Args:
        labels: the labels of every file or window.
        kind: what they are.

    Returns:
        For single-label and anomaly tasks, int64 (N,), the index of the class; for multi-label
        tasks, bool (N, classes); for regressions, float32 (N, values).

    Raises:
        DatasetError: a label is not among the classes, or is not a number.
    """
    index = {name: number for number, name in enumerate(kind.classes)}
    try:
        match kind.kind:
            case "regression":
                return np.array([[float(text) for text in row] for row in labels], np.float32)
            case "multi-label":
                chosen = np.zeros((len(labels), len(index)), bool)
                for number, row in enumerate(labels):
                    chosen[number, [index[text] for text in row]] = True
                return chosen
            case "anomaly":
                return np.array([_anomaly(row[0]) for row in labels], np.int64)
            case _:
                return np.array([index[row[0]] for row in labels], np.int64)
    except (KeyError, ValueError, TypeError, IndexError) as err:
        if kind.kind == "regression":
            raise DatasetError(
                f"a label is not a number: {err}; correct it, or leave its file out"
            ) from err
        raise DatasetError(
            f"a label is not among {', '.join(kind.classes)}: {err}; add it to the classes, or "
            "leave its files out"
        ) from err


def _likely(texts: set[str], columns: Sequence[str], *, is_multiple: bool) -> Kind:
    if is_multiple:
        return "multi-label"
    lowered = {text.lower() for text in texts}
    marked = any(column.lower().startswith("anomal") for column in columns)
    if lowered == {NORMAL, ANOMALY} or (
        marked and lowered and all(_anomaly(text) is not None for text in lowered)
    ):
        return "anomaly"
    if not columns or not all(map(_is_number, texts)):
        return "single-label"
    whole = all(float(text).is_integer() for text in texts)
    return "single-label" if whole and len(texts) <= _MOST_NUMBERED else "regression"


def _anomaly(text: str) -> int | None:
    lowered = text.lower()
    return 0 if lowered in _NORMAL_TEXTS else 1 if lowered in _ANOMALY_TEXTS else None


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _ordered(texts: set[str]) -> list[str]:
    """Return classes in order: numbers by value, others by name."""
    if texts and all(map(_is_number, texts)):
        return sorted(texts, key=lambda text: (float(text), text))
    return sorted(texts)
