"""Makes the figures and axes of the report's pictures in one style."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nestling_cloud.palette import GRID, INK, MUTED, SURFACE

_WIDTH_IN = 9.0


def new_figure(height_in: float) -> Figure:
    """Return an empty figure of the page's width.

    Args:
        height_in: the height in inches.
    """
    return Figure(figsize=(_WIDTH_IN, height_in), layout="constrained", facecolor=SURFACE.light)


def only_axes(figure: Figure) -> Axes:
    """Add the only axes of a figure, and return them."""
    axes = figure.add_subplot()
    style(axes)
    return axes


def style(axes: Axes) -> None:
    """Give axes the style of the page."""
    axes.set_facecolor(SURFACE.light)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID.light)
    axes.tick_params(color=GRID.light, labelcolor=MUTED.light, labelsize=9, length=3)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(MUTED.light)
        axis.label.set_fontsize(9)


def legend_above(figure: Figure, axes: Axes, columns: int) -> None:
    """Draw the legend of axes above them.

    Args:
        figure: the figure of the axes.
        axes: the axes with labeled lines, points or bars.
        columns: the number of columns of the legend.
    """
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside upper left",
        ncols=columns,
        frameon=False,
        labelcolor=INK.light,
        fontsize=9,
    )
