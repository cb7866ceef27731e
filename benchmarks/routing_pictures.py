"""Pictures of the routing benchmark, drawn from its JSON."""

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.figure import Figure as Picture

_COLOURS = {
    "Nestling": ("#0072b2", 2.6),
    "max-softmax": ("#9aa5b1", 1.6),
    "margin": ("#d55e00", 1.4),
    "AppealNet head": ("#009e73", 1.4),
    "deferral MLP": ("#cc79a7", 1.4),
    "random": ("#c8ced6", 1.2),
    "oracle": ("#444c56", 1.2),
}


def _curves(content: Mapping[str, Any]) -> Picture:
    """Accuracy against the share sent, one panel for each task and capacity."""
    panels = [one for one in content["sheets"] if ", from the " in one["title"]]
    picture = Picture(figsize=(9, 3.6 * ((len(panels) + 1) // 2)), layout="constrained")
    grid = picture.subplots((len(panels) + 1) // 2, 2, squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        shares = [float(name.rstrip(" %")) for name in panel["header"][1:-2]]
        for name, *values in panel["rows"]:
            if name in _COLOURS:
                colour, width = _COLOURS[name]
                heights = [float(value) for value in values[: len(shares)]]
                axes.plot(shares, heights, color=colour, linewidth=width, label=name)
        axes.set_title(panel["title"], fontsize=10)
        axes.set_xlabel("sent to the cloud, %")
        axes.set_ylabel("accuracy, %")
        axes.spines[["top", "right"]].set_visible(False)
    grid.flat[0].legend(frameon=False, fontsize=8)
    return picture


PICTURES: Mapping[str, Callable[[Mapping[str, Any]], Picture]] = {"curves": _curves}
