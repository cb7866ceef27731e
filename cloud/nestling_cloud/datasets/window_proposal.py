"""Decides which columns of recordings are measured values, and how recordings are cut."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nestling_cloud.datasets.errors import DatasetError
from nestling_cloud.datasets.facts import Column, Facts
from nestling_cloud.datasets.label_kinds import NORMAL
from nestling_cloud.datasets.look import Look
from nestling_cloud.datasets.windows import WindowPlan

_LABELS = ("label", "labels", "class", "target", "activity", "anomaly")
# Columns that mark events: with them among its inputs, a model would only read the answer.
_MARKS = re.compile(r"(?i)change[ _]?points?|is_?anomaly|attack|fault|event")
_NORMAL_NAMES = re.compile(r"(?i)normal|anomaly[ _-]?free|healthy")
_USUAL_LENGTH, _FEWEST_WINDOWS, _LONGEST_WINDOW = 100, 10, 1000


@dataclass(frozen=True, kw_only=True)
class Channels:
    """What the columns of the recordings of a folder are.

    Attributes:
        windows: how the recordings are cut, or None if there are no recordings.
        label: the name of the column with labels, or "".
        values: the different labels in it.
        is_regression: whether columns are estimated.
        dropped: the columns that are not used, with the reasons.
    """

    windows: WindowPlan | None = None
    label: str = ""
    values: Sequence[str] = ()
    is_regression: bool = False
    dropped: Sequence[tuple[str, str]] = ()

    @property
    def has_labels(self) -> bool:
        """Whether labels or values to estimate are in columns."""
        return bool(self.label) or self.is_regression


def propose_windows(
    look: Look, *, column: str, targets: Sequence[str], length: int, hop: int
) -> Channels:
    """Decide how the recordings of a folder are cut.

    Args:
        look: what was found in the folder.
        column: the column with labels; "" to look for one.
        targets: the columns that a regression estimates.
        length: the rows in a window; 0 to choose.
        hop: the rows from a window to the next one; 0 for half a window.

    Raises:
        DatasetError: there is no such column, or no column of measured values.
    """
    facts = [found.facts for found in look.files if not found.facts.fault]
    names = Counter(name for one in facts for name in {c.name for c in one.columns})
    for wanted in [*([column] if column else []), *targets]:
        if wanted not in names:
            raise DatasetError(
                f"no recording has a column {wanted!r}; there are {', '.join(names)}"
            )
    label = "" if targets else column or _label(names)
    values = {v for one in facts for c in one.columns if c.name == label for v in c.values} - {""}
    if label and not values:
        raise DatasetError(
            f"column {label!r} has too many different values to be classes; estimate it with "
            f"--target {label}"
        )
    typical = Counter(tuple(c.name for c in one.columns) for one in facts).most_common(1)[0][0]
    first = next(one for one in facts if tuple(c.name for c in one.columns) == typical)
    dropped = [(c.name, reason) for c in first.columns if (reason := _unused(c, label, targets))]
    channels = [c.name for c in first.columns if c.name not in {name for name, _ in dropped}]
    if not channels:
        raise DatasetError("the recordings have no column of measured values")
    are_arrays = all(found.file.name.lower().endswith(".npy") for found in look.files)
    chosen = length or _length([one.shape[0] for one in facts], are_arrays=are_arrays)
    windows = WindowPlan(
        channels=channels,
        length=chosen,
        hop=hop or max(1, chosen // 2),
        label=label,
        unlabeled=_unlabeled(look, label),
    )
    return Channels(
        windows=windows,
        label=label,
        values=sorted(values),
        is_regression=bool(targets),
        dropped=dropped,
    )


def _label(names: Counter[str]) -> str:
    lowered = {name.lower(): name for name in names}
    return next((lowered[known] for known in _LABELS if known in lowered), "")


def _unused(column: Column, label: str, targets: Sequence[str]) -> str:
    """Return why a column is no input, or ""."""
    if column.name == label:
        return "has the labels"
    if column.name in targets:
        return "is estimated"
    if column.is_time:
        return "holds times"
    if column.name.lower() in _LABELS or _MARKS.fullmatch(column.name):
        return "marks events, which the answer would follow from"
    return "" if column.is_number or column.missing else "holds no numbers"


def _unlabeled(look: Look, label: str) -> str:
    """Return "normal" if recordings lack the label and their names say that they are normal."""
    lacking = [
        found.file.name
        for found in look.files
        if not found.facts.fault and label not in _names(found.facts)
    ]
    is_said = lacking and all(_NORMAL_NAMES.search(name) for name in lacking)
    return NORMAL if label.lower().startswith("anomal") and is_said else ""


def _names(facts: Facts) -> set[str]:
    return {column.name for column in facts.columns}


def _length(rows: Sequence[int], *, are_arrays: bool) -> int:
    if are_arrays and len(set(rows)) == 1 and rows[0] <= _LONGEST_WINDOW:
        return rows[0]  # the files are windows already
    return max(1, min(_USUAL_LENGTH, int(np.median(rows)) // _FEWEST_WINDOWS))
