"""Draws the charts of the learning benchmark from its result file."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure as Picture

from benchmarks.report import Chart

_NESTED, _ALONE = "#0072b2", "#9aa5b1"


def _nested(content: Mapping[str, Any]) -> Picture:
    """Draw each capacity's accuracy beside the accuracy of a separate network of the same size."""
    (table,) = (table for table in content["tables"] if table["title"].startswith("Nested"))
    rows = table["rows"]
    picture = Picture(figsize=(7, 0.6 + 0.34 * len(rows)), layout="constrained")
    axes = picture.subplots()
    for place, (task, capacity, nested, alone, _) in enumerate(reversed(rows)):
        for offset, cell, color in ((0.18, nested, _NESTED), (-0.18, alone, _ALONE)):
            mean, _, spread = cell.partition(" ± ")
            axes.errorbar(
                float(mean), place + offset, xerr=float(spread or 0), fmt="o", color=color
            )
        axes.text(
            -0.01,
            place,
            f"{task} {capacity}",
            ha="right",
            va="center",
            transform=axes.get_yaxis_transform(),
        )
    axes.set_yticks([])
    axes.set_xlabel("test accuracy, %: nested (blue) and trained alone (grey), mean and s.d.")
    axes.spines[["top", "right", "left"]].set_visible(False)
    return picture


CHARTS: Mapping[str, Chart] = {"nested": _nested}
