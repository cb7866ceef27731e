"""Cuts recordings into windows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.datasets.columns import texts_of
from nestling_cloud.datasets.recordings import Recording
from nestling_core.media.errors import MediaError


@dataclass(frozen=True, kw_only=True)
class WindowPlan:
    """How recordings become inputs.

    Attributes:
        channels: the names of the columns that are measured values, in order.
        length: the number of rows in a window.
        hop: the number of rows from the start of a window to that of the next one.
        label: the name of the column with labels, or "".
        unlabeled: the label of recordings that lack this column, or "" if there must be none.
        targets: the names of the columns that a regression estimates.
    """

    channels: Sequence[str]
    length: int
    hop: int
    label: str = ""
    unlabeled: str = ""
    targets: Sequence[str] = ()

    def count(self, rows: int) -> int:
        """Return the number of windows in a recording with a number of rows."""
        return max(0, (rows - self.length) // self.hop + 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Windows:
    """The windows of a recording.

    Attributes:
        inputs: the measured values, float32 (N, channels, length).
        labels: the label of each window as text: the most frequent label of its rows; in a tie, the
            one that comes first. If the recording lacks the column, it is `unlabeled` for every
            window. Empty if the plan names no label.
        targets: the mean of every target column in each window, float32 (N, targets).
    """

    inputs: NDArray[np.float32]
    labels: Sequence[str]
    targets: NDArray[np.float32]


def cut(recording: Recording, plan: WindowPlan) -> Windows:
    """Cut a recording into windows.

    Rows at the end that do not fill a window are left out. Missing values between two others are
    interpolated linearly, and at the ends the nearest value is repeated.

    Args:
        recording: the recording.
        plan: the columns, and the length and hop of windows.

    Raises:
        MediaError: a column is missing or not numeric, has no value at all, or the recording is
            shorter than a window.
    """
    if recording.rows < plan.length:
        raise MediaError(f"has {recording.rows} rows, fewer than a window's {plan.length}")
    values = np.stack([_filled(recording, name) for name in plan.channels])  # (C, rows)
    inputs = _framed(values, plan)  # (N, C, length)
    labels = list[str]()
    if plan.unlabeled and plan.label not in recording.columns:
        labels = [plan.unlabeled] * len(inputs)
    elif plan.label:
        texts = texts_of(_existing(recording, plan.label))
        labels = [_majority(row) for row in _framed(texts[None], plan)[:, 0]]
    targets = np.zeros((len(inputs), 0), np.float32)
    if plan.targets:
        wanted = np.stack([_filled(recording, name) for name in plan.targets])
        targets = _framed(wanted, plan).mean(axis=2, dtype=np.float64).astype(np.float32)
    return Windows(inputs=np.ascontiguousarray(inputs, np.float32), labels=labels, targets=targets)


def _framed(values: NDArray[Any], plan: WindowPlan) -> NDArray[Any]:
    frames = np.lib.stride_tricks.sliding_window_view(values, plan.length, axis=1)
    found: NDArray[Any] = frames[:, :: plan.hop].swapaxes(0, 1)
    return found


def _existing(recording: Recording, name: str) -> NDArray[Any]:
    if name not in recording.columns:
        raise MediaError(
            f"has no column {name!r}; it has {', '.join(map(repr, recording.columns))}"
        )
    return recording.columns[name]


def _filled(recording: Recording, name: str) -> NDArray[np.float64]:
    values = _existing(recording, name)
    known = np.isfinite(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
    if not known.any():
        raise MediaError(f"has no numbers in column {name!r}")
    if known.all():
        whole: NDArray[np.float64] = values
        return whole
    rows = np.arange(len(values))
    filled: NDArray[np.float64] = np.interp(rows, rows[known], values[known])
    return filled


def _majority(texts: NDArray[np.str_]) -> str:
    found, first, counts = np.unique(texts, return_index=True, return_counts=True)
    best = min(range(len(found)), key=lambda index: (-counts[index], first[index]))
    return str(found[best])
