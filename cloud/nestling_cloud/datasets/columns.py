"""Tells what the columns of a recording are: times, measured values or labels."""

import re
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.datasets.facts import MOST_VALUES, Column
from nestling_cloud.datasets.recordings import Recording

_TIME_NAMES = re.compile(
    r"(?i)(date[ _]?time|time[ _]?stamp|timestamps?|date|time|t|index|sample|seconds?|ms|epoch)"
    r"([ _]?\(?(s|ms|us|ns|sec|utc)\)?)?"
)
_UNITS_S = {"ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_TRIED = 1000  # rows in which times are looked for


def columns_of(recording: Recording) -> list[Column]:
    """Describe the columns of a recording."""
    return [_column(name, values) for name, values in recording.columns.items()]


def texts_of(values: NDArray[Any]) -> NDArray[np.str_]:
    """Return the values of a column as texts, whole numbers without a decimal point.

    Missing numbers become "".
    """
    if values.dtype.kind != "f":
        return values.astype(str)
    return np.array(["" if np.isnan(value) else f"{value:g}" for value in values.tolist()], str)


def _column(name: str, values: NDArray[Any]) -> Column:
    is_number = values.dtype.kind == "f"
    missing = int((~np.isfinite(values)).sum() if is_number else (values == "").sum())
    different = np.unique(values[np.isfinite(values)] if is_number else values)
    step_s = _step_s(name, values)
    return Column(
        name=name,
        is_number=is_number,
        is_time=step_s is not None,
        step_s=step_s or 0.0,
        values=texts_of(different).tolist() if len(different) <= MOST_VALUES else (),
        is_constant=len(different) <= 1,
        missing=missing,
        low=float(different[0]) if is_number and len(different) else 0.0,
        high=float(different[-1]) if is_number and len(different) else 0.0,
    )


def _step_s(name: str, values: NDArray[Any]) -> float | None:
    """Return the seconds between two times, 0 if unknown, or None if these are no times."""
    if values.dtype.kind != "f":
        times = _parsed(values[:_TRIED])
        if times is None:
            return None
        return float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    match = _TIME_NAMES.fullmatch(name.strip())
    rises = len(values) > 1 and bool((np.diff(values[:_TRIED]) > 0).all())
    if match is None or not rises:
        return None
    step = float(np.median(np.diff(values)))
    if re.fullmatch(r"(?i)index|sample", name.strip()):
        return 0.0
    unit = (match[3] or "").lower() or ("ms" if name.strip().lower() == "ms" else "")
    return step * _UNITS_S.get(unit, 1.0)


def _parsed(values: NDArray[Any]) -> NDArray[np.float64] | None:
    try:
        return np.array([datetime.fromisoformat(text).timestamp() for text in values.tolist()])
    except (ValueError, OverflowError, OSError):
        return None
