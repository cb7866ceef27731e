"""Pictures of the routing benchmark, drawn from its JSON."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

# Ours and the ends in full strokes; Sedna's cross entropy is entropy.
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


def _draw(axes: Axes, panel: Mapping[str, Any], places: Sequence[float], label: str) -> None:
    """Draw the accuracies of a table's first columns at some places of the x axis."""
    for name, *values in panel["rows"]:
        if name in _STROKES:
            colour, width, style = _STROKES[name]
            heights = [float(value) for value in values[: len(places)]]
            axes.plot(
                places,
                heights,
                color=colour,
                linewidth=width,
                linestyle=style,
                label=_NAMES.get(name, name),
            )
    axes.set_title(panel["title"], fontsize=10)
    axes.set_xlabel(label)
    axes.set_ylabel("accuracy, %")
    axes.spines[["top", "right"]].set_visible(False)


def _curves(content: Mapping[str, Any]) -> Picture:
    """Accuracy against the share sent, one panel for each task and capacity."""
    panels = [one for one in content["tables"] if ", from the " in one["title"]]
    picture = Picture(figsize=(9, 3.6 * ((len(panels) + 1) // 2)), layout="constrained")
    grid = picture.subplots((len(panels) + 1) // 2, 2, squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        shares = [float(name.rstrip(" %")) for name in panel["header"][1:-2]]
        _draw(axes, panel, shares, "sent to the cloud, %")
    grid.flat[0].legend(frameon=False, fontsize=8)
    return picture


def _against(content: Mapping[str, Any], column: int, label: str) -> Picture:
    """Accuracy against what a mean input takes, by every router that is drawn.

    Args:
        content: of the benchmark.
        column: of the table "What an answer takes".
        label: of that axis.
    """
    (costs,) = (one for one in content["tables"] if one["title"] == "What an answer takes")
    tasks = list(dict.fromkeys(row[0] for row in costs["rows"]))
    picture = Picture(figsize=(9, 3.6 * len(tasks)), layout="constrained")
    grid = picture.subplots(len(tasks), 2, squeeze=False)
    for line, task in zip(grid, tasks, strict=True):
        panels = [one for one in content["tables"] if one["title"].startswith(f"{task}, from the ")]
        capacities = list(dict.fromkeys(row[1] for row in costs["rows"] if row[0] == task))
        for axes, panel, capacity in zip(line, panels, capacities, strict=True):
            taken = [float(row[column]) for row in costs["rows"] if row[:2] == [task, capacity]][1:]
            _draw(axes, panel, taken, label)
    grid.flat[0].legend(frameon=False, fontsize=8)
    return picture


PICTURES: Mapping[str, Callable[[Mapping[str, Any]], Picture]] = {
    "curves": _curves,
    "energy": partial(_against, column=6, label="device and radio, mJ an input"),
    "cloud": partial(_against, column=5, label="cloud, million multiply-accumulates an input"),
}
