"""Draws the stream benchmark's chart from its result file."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from benchmarks.report import Chart
from benchmarks.streams.curves import CLOUD_FILTERED, FILTERED, OURS
from benchmarks.streams.tables import CLOUD, DEVICE

# Color, width and style of each line.
_STROKES = {
    OURS: ("#0072b2", 2.6, "-"),
    "max-softmax": ("#444c56", 1.4, "-"),
    "max-softmax" + FILTERED: ("#444c56", 1.4, "--"),
    "margin": ("#d55e00", 1.2, "-"),
    "margin" + FILTERED: ("#d55e00", 1.2, "--"),
    DEVICE: ("#9aa5b1", 1.2, ":"),
    CLOUD: ("#009e73", 1.4, "-"),
    CLOUD_FILTERED: ("#009e73", 1.4, "--"),
}


def _curves(content: Mapping[str, Any]) -> Picture:
    """Draw the accuracy against the offload share, with one panel for each capacity."""
    tables = [table for table in content["tables"] if table["title"].startswith("wearable, from")]
    picture = Picture(figsize=(9, 4.2), layout="constrained")
    panels = picture.subplots(1, len(tables), sharey=True, squeeze=False)
    for axes, table in zip(panels.flat, tables, strict=True):
        _draw(axes, table)
    panels.flat[0].set_ylabel("accuracy, %")
    panels.flat[-1].legend(frameon=False, fontsize=8, loc="lower right")
    return picture


def _draw(axes: Axes, table: Mapping[str, Any]) -> None:
    shares = [float(name.rstrip(" %")) for name in table["header"][1:]]
    for name, *values in table["rows"]:
        if name in _STROKES:
            color, width, style = _STROKES[name]
            heights = [float(value) for value in values]
            axes.plot(shares, heights, label=name, color=color, linewidth=width, linestyle=style)
    axes.set_title(table["title"], fontsize=10)
    axes.set_xlabel("sent to the cloud, %")
    axes.spines[["top", "right"]].set_visible(False)


CHARTS: Mapping[str, Chart] = {"accuracy": _curves}
