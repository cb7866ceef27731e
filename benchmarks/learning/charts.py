"""Pictures of the learning benchmark, drawn from its JSON."""

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.figure import Figure as Picture

_NESTED, _ALONE = "#0072b2", "#9aa5b1"


def _nested(content: Mapping[str, Any]) -> Picture:
    """Difference of each capacity to the network trained alone."""
    (table,) = (one for one in content["tables"] if one["title"].startswith("Nested"))
    rows = table["rows"]
    picture = Picture(figsize=(7, 0.6 + 0.34 * len(rows)), layout="constrained")
    axes = picture.subplots()
    for place, (task, capacity, nested, alone, _) in enumerate(reversed(rows)):
        for offset, cell, colour in ((0.18, nested, _NESTED), (-0.18, alone, _ALONE)):
            mean, _, spread = cell.partition(" ± ")
            axes.errorbar(
                float(mean), place + offset, xerr=float(spread or 0), fmt="o", color=colour
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


PICTURES: Mapping[str, Callable[[Mapping[str, Any]], Picture]] = {"nested": _nested}
