"""Draws the charts of the routing benchmark from its result file."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from matplotlib.figure import Figure as Picture

from benchmarks.report import Chart

# Color, width and style of each router that is drawn. Sedna's cross entropy is entropy.
_STROKES = {
    "Nestling": ("#0072b2", 2.6, "-"),
    "max-softmax": ("#444c56", 1.4, "--"),
    "margin": ("#d55e00", 1.4, "-"),
    "entropy": ("#e69f00", 1.4, "-"),
    "scaled softmax": ("#56b4e9", 1.2, "--"),
    "deferral MLP": ("#cc79a7", 1.4, "-"),
    "AppealNet head": ("#009e73", 1.4, "-"),
    "resource-sensitive": ("#9aa5b1", 1.2, ":"),
    "random": ("#c8ced6", 1.2, "-"),
    "oracle": ("#444c56", 1.2, "-"),
}
_NAMES = {"entropy": "entropy, Sedna cross entropy"}


def _draw(panels: Sequence[tuple[Mapping[str, Any], Sequence[float]]], label: str) -> Picture:
    """Draw the accuracies of each router, with two panels per row.

    Args:
        panels: for each panel, the table of accuracies by router and share, and the position of
            each share on the x axis.
        label: the label of the x axis.
    """
    rows = (len(panels) + 1) // 2
    picture = Picture(figsize=(9, 3.6 * rows), layout="constrained")
    grid = picture.subplots(rows, 2, squeeze=False)
    for axes, (table, places) in zip(grid.flat, panels, strict=False):
        for name, *values in table["rows"]:
            if name in _STROKES:
                color, width, style = _STROKES[name]
                heights = [float(value) for value in values[: len(places)]]
                stroke = {"color": color, "linewidth": width, "linestyle": style}
                axes.plot(places, heights, label=_NAMES.get(name, name), **stroke)
        axes.set_title(table["title"], fontsize=10)
        axes.set_xlabel(label)
        axes.set_ylabel("accuracy, %")
        axes.spines[["top", "right"]].set_visible(False)
    grid.flat[0].legend(frameon=False, fontsize=8)
    return picture


def _curves(content: Mapping[str, Any]) -> Picture:
    """Draw the accuracy against the offload share, with one panel for each task and capacity."""
    tables = [table for table in content["tables"] if ", from the " in table["title"]]
    shares = [float(name.rstrip(" %")) for name in tables[0]["header"][1:-2]]
    return _draw([(table, shares) for table in tables], "sent to the cloud, %")


def _against_cost(content: Mapping[str, Any], column: int, label: str) -> Picture:
    """Draw the accuracy against the mean cost per input.

    Args:
        content: the content of the result file.
        column: the index of the column with the costs in the table "Cost of an answer", from 0.
        label: the label of the x axis.
    """
    tables = [table for table in content["tables"] if ", from the " in table["title"]]
    (costs,) = (
        table["rows"] for table in content["tables"] if table["title"] == "Cost of an answer"
    )
    starts = dict.fromkeys((row[0], row[1]) for row in costs)  # task and capacity, as in tables
    # The first cost of each start is without the cloud.
    places = [[float(row[column]) for row in costs if (row[0], row[1]) == s][1:] for s in starts]
    return _draw(list(zip(tables, places, strict=True)), label)


CHARTS: Mapping[str, Chart] = {
    "curves": _curves,
    "energy": partial(_against_cost, column=6, label="device and radio, mJ per input"),
    "cloud": partial(
        _against_cost, column=5, label="cloud, million multiply-accumulates per input"
    ),
}
