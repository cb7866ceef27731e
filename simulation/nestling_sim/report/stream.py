"""Draws the report's picture of one device's stream: its belief, its routes and the truth."""

from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from nestling_cloud.palette import CLOUD_ORANGE, COMPUTE, FALLBACK, GRID, INK, MUTED, OUTAGE
from nestling_sim.report.drawing import legend_above, new_figure, style
from nestling_sim.report.evidence import CLOUD, Timeline, answering_capacity, is_fallback

_MOST_NAMES = 16  # names of classes would overlap
_ASKED_AT, _WRONG_AT = 1.06, -0.08
_TOP = 1.28


def stream_picture(timeline: Timeline, capacities: int) -> Figure:
    """Draw what one device believed, which option answered, and whether the answer was right.

    Args:
        timeline: the inputs of the device.
        capacities: the number of capacities of the student.
    """
    figure = new_figure(4.2)
    belief, lanes = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    for axes in (belief, lanes):
        style(axes)
        _draw_classes(axes, timeline, named=axes is belief)
    _draw_belief(belief, timeline)
    _draw_lanes(lanes, timeline, capacities)
    legend_above(figure, belief, 4)
    return figure


def _draw_classes(axes: Axes, timeline: Timeline, *, named: bool) -> None:
    """Shade every second stretch of one true answer, and write the answers."""
    start = timeline.moments[0].receipt.input_index
    stretches = [
        (truth, len(list(moments)))
        for truth, moments in groupby(timeline.moments, key=lambda moment: moment.truth)
    ]
    if len(stretches) > len(timeline.moments) / 2:  # values, of which no two are the same
        return
    for number, (truth, length) in enumerate(stretches):
        if number % 2:
            axes.axvspan(start - 0.5, start + length - 0.5, color=OUTAGE.light, linewidth=0)
        if named and len(stretches) <= _MOST_NAMES:
            axes.annotate(
                truth,
                (start + length / 2 - 0.5, _TOP - 0.02),
                ha="center",
                va="top",
                fontsize=7,
                color=INK.light,
            )
        start += length


def _draw_belief(axes: Axes, timeline: Timeline) -> None:
    moments = timeline.moments
    axes.plot(
        [moment.receipt.input_index for moment in moments],
        [moment.confidence for moment in moments],
        color=COMPUTE.light,
        linewidth=1.6,
        label="belief in the device's answer",
    )
    rows = [moment.receipt for moment in moments]
    wrong = [moment.receipt for moment in moments if not moment.is_right]
    asked = [row for row in rows if row.route == CLOUD]
    unanswered = [row for row in rows if is_fallback(row)]
    for label, marked, at, marker, colour in (
        ("cloud asked", asked, _ASKED_AT, "v", CLOUD_ORANGE),
        ("cloud did not answer", unanswered, _ASKED_AT, "x", MUTED),
        ("wrong answer", wrong, _WRONG_AT, "x", FALLBACK),
    ):
        places = [row.input_index for row in marked]
        heights = [at] * len(places)
        axes.plot(places, heights, marker, color=colour.light, markersize=4, label=label)
    axes.set_ylim(-0.16, _TOP)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(visible=True, axis="y", color=GRID.light, linewidth=0.6)


def _draw_lanes(axes: Axes, timeline: Timeline, capacities: int) -> None:
    cloud = capacities + 1
    rows = [moment.receipt for moment in timeline.moments]
    device = [(row.input_index, answering_capacity(row)) for row in rows if row.route != CLOUD]
    sent = [(row.input_index, cloud) for row in rows if row.route == CLOUD]
    for points, colour in ((device, COMPUTE), (sent, CLOUD_ORANGE)):
        if points:
            axes.plot(*zip(*points, strict=True), "|", color=colour.light, markersize=5)
    axes.set_ylim(0.4, cloud + 0.6)
    axes.set_yticks([*range(1, capacities + 1), cloud], [*map(str, range(1, cloud)), CLOUD])
    axes.grid(visible=True, axis="y", color=GRID.light, linewidth=0.6)
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes.set_xlabel("input")
    axes.set_ylabel("answered by")
