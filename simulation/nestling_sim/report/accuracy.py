"""Draws the report's picture of accuracy against offload share."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from nestling_cloud.palette import CLOUD_ORANGE, COMPUTE, GRID, MULTIPLEXER, MUTED, RIVAL, SURFACE
from nestling_sim.report.drawing import legend_above, new_figure, only_axes
from nestling_sim.report.evidence import Evidence

_DASHES = (0, (5, 2))
_DOTS = (0, (1, 1.5))
_LINES: Mapping[str, Mapping[str, Any]] = {
    "bundle's router": {"color": MULTIPLEXER.light, "linewidth": 2.4, "zorder": 4},
    "max-softmax": {"color": RIVAL.light, "linestyle": _DASHES, "linewidth": 1.8},
    "max-softmax, filtered": {"color": RIVAL.light, "linewidth": 1.4},
    "margin": {"color": MUTED.light, "linestyle": _DOTS, "linewidth": 1.8},
    "margin, filtered": {"color": MUTED.light, "linewidth": 1.2},
}
_POINTS: Mapping[str, Mapping[str, Any]] = {
    "device-only": {"color": COMPUTE.light, "marker": "s", "markerfacecolor": SURFACE.light},
    "device-only, filtered": {"color": COMPUTE.light, "marker": "s"},
    "cloud-only": {"color": CLOUD_ORANGE.light, "marker": "D", "markerfacecolor": SURFACE.light},
    "cloud-only, filtered": {"color": CLOUD_ORANGE.light, "marker": "D"},
}
# Points at the edges are drawn whole.
_MARKER: Mapping[str, Any] = {"linestyle": "", "markersize": 8, "clip_on": False, "zorder": 5}
_TICKS = (0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1)


def accuracy_picture(evidence: Evidence) -> Figure:
    """Draw the accuracy of each router as a function of the offload share.

    Single points show the run itself, and the accuracies that the device alone and the cloud alone
    would have had. A horizontal line marks the best accuracy of the cloud alone. Small shares are
    stretched, because most devices send few inputs.
    """
    figure = new_figure(4.6)
    axes = only_axes(figure)
    axes.set_xscale("function", functions=(_stretch, np.square))
    axes.set_xlim(0, 1)
    axes.set_xticks(_TICKS)
    for name, style in _LINES.items():
        if name in evidence.curves:
            axes.plot(*zip(*evidence.curves[name], strict=True), label=name, **style)
    for name, style in _POINTS.items():
        if name in evidence.curves:
            axes.plot(*evidence.curves[name][0], label=name, **_MARKER, **style)
    _draw_cloud_level(axes, evidence)
    run = (evidence.summary["offload_share"], evidence.summary["accuracy"]["hybrid"])
    axes.plot(
        *run,
        label="this run",
        linestyle="",
        clip_on=False,
        color=MULTIPLEXER.light,
        marker="o",
        markersize=11,
        markeredgecolor=SURFACE.light,
        markeredgewidth=2,
        zorder=6,
    )
    axes.grid(visible=True, color=GRID.light, linewidth=0.8)
    for axis, name in ((axes.xaxis, "share of inputs sent to the cloud"), (axes.yaxis, "accuracy")):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        axis.set_label_text(name)
    legend_above(figure, axes, 5)
    return figure


def _stretch(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(np.maximum(shares, 0))


def _draw_cloud_level(axes: Axes, evidence: Evidence) -> None:
    levels = [
        evidence.curves[name][0][1]
        for name in ("cloud-only", "cloud-only, filtered")
        if name in evidence.curves
    ]
    if levels:
        axes.axhline(max(levels), color=CLOUD_ORANGE.light, linewidth=0.8, zorder=1)
