"""Draws the report's pictures of capacity, energy and routes."""

from collections.abc import Sequence
from itertools import chain
from math import ceil

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from nestling_cloud.palette import (
    CLOUD_ORANGE,
    COMPUTE,
    FALLBACK,
    GRID,
    INK,
    MUTED,
    OUTAGE,
    SURFACE,
    Colour,
    capacity_colours,
)
from nestling_sim.report.drawing import legend_above, new_figure, only_axes, style
from nestling_sim.report.evidence import (
    CLOUD,
    DeviceTally,
    Evidence,
    answering_capacity,
    is_fallback,
    routes_in_order,
    tally,
)
from nestling_sim.report.tables import POLICIES, millijoules

MOST_DEVICES = 24  # more small plots would be unreadable

_COLUMNS = 3


def capacity_picture(evidence: Evidence) -> Figure:
    """Draw the resident capacity and the route of each answer, in one small plot per device.

    The resident capacity is the largest one that the device had loaded. Only the first 24 devices
    are drawn.
    """
    tallies = tally(evidence)[:MOST_DEVICES]
    capacities = len(evidence.summary["capacities"])
    rows = max(ceil(len(tallies) / _COLUMNS), 1)
    figure = new_figure(0.7 + 1.45 * rows)
    grid = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
    cells = list(chain.from_iterable(grid))
    for axes, one in zip(cells, tallies, strict=False):
        _draw_device(axes, one, evidence.outages.get(one.device, ()), capacities)
    for axes in cells[len(tallies) :]:
        axes.set_visible(False)
    figure.supxlabel("input", fontsize=9, color=MUTED.light)
    figure.legend(
        handles=_capacity_legend(),
        loc="outside upper center",
        ncols=5,
        frameon=False,
        labelcolor=INK.light,
        fontsize=9,
    )
    return figure


def energy_picture(evidence: Evidence) -> Figure:
    """Draw the mean energy per input by source (compute and radio), for each policy.

    The policies are hybrid (the run itself), device only and cloud only.
    """
    energy = evidence.summary["energy_mj_per_input"]
    figure = new_figure(2.5)
    axes = only_axes(figure)
    policies = list(reversed(POLICIES))
    left = [0.0] * len(policies)
    for source, colour in (("compute", COMPUTE), ("radio", CLOUD_ORANGE)):
        width = [energy["by_source"][policy][source] for policy in policies]
        axes.barh(
            [POLICIES[policy] for policy in policies],
            width,
            left=left,
            color=colour.light,
            label=source,
            height=0.6,
            edgecolor=SURFACE.light,
        )
        left = [a + b for a, b in zip(left, width, strict=True)]
    for row, total in enumerate(left):
        axes.annotate(
            millijoules(total),
            (total, row),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=INK.light,
            fontsize=9,
        )
    axes.margins(x=0.12)
    axes.set_xlabel(f"millijoules per input ({energy['provenance']})")
    legend_above(figure, axes, 2)
    return figure


def routes_picture(evidence: Evidence) -> Figure:
    """Draw a bar for each device, divided by the routes that its inputs took.

    The number of fallbacks is written beside the bar.
    """
    tallies = list(reversed(tally(evidence)))
    capacities = len(evidence.summary["capacities"])
    figure = new_figure(1.1 + 0.34 * len(tallies))
    axes = only_axes(figure)
    left = [0.0] * len(tallies)
    colours = {CLOUD: CLOUD_ORANGE.light, **_by_capacity(capacities)}
    for route in routes_in_order(tallies, capacities):
        width = [one.routes[route] / len(one.rows) for one in tallies]
        axes.barh(
            [one.device for one in tallies],
            width,
            left=left,
            height=0.68,
            color=colours.get(route, MUTED.light),
            edgecolor=SURFACE.light,
            label=route.replace("-", " "),
        )
        left = [a + b for a, b in zip(left, width, strict=True)]
    for row, one in enumerate(tallies):
        if one.fallbacks:
            axes.annotate(
                f"{one.fallbacks} fallback{'s' if one.fallbacks > 1 else ''}",
                (1, row),
                xytext=(8, 0),
                textcoords="offset points",
                va="center",
                color=FALLBACK.light,
                fontsize=9,
                annotation_clip=False,
            )
    axes.set_xlim(0, 1.13 if any(one.fallbacks for one in tallies) else 1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("share of the device's inputs")
    legend_above(figure, axes, capacities + 1)
    return figure


def _draw_device(axes: Axes, one: DeviceTally, outages: Sequence[range], capacities: int) -> None:
    style(axes)
    for span in outages:
        axes.axvspan(span.start - 0.5, span.stop - 0.5, color=OUTAGE.light, linewidth=0)
    index = [row.input_index for row in one.rows]
    resident = [row.resident_capacity for row in one.rows]
    axes.step(index, resident, where="mid", color=COMPUTE.light, linewidth=1.8)
    lane = capacities + 1
    sent = [(row.input_index, lane) for row in one.rows if row.route == CLOUD]
    _marks(axes, sent, "|", CLOUD_ORANGE, size=6)
    smaller = [
        (row.input_index, answered)
        for row in one.rows
        if 0 < (answered := answering_capacity(row)) < row.resident_capacity
    ]
    fallbacks = [(row.input_index, answering_capacity(row)) for row in one.rows if is_fallback(row)]
    _marks(axes, smaller, ".", COMPUTE, size=4)
    _marks(axes, fallbacks, "x", FALLBACK, size=5)
    axes.set_title(one.device, fontsize=9, loc="left", color=INK.light, pad=3)
    axes.set_ylim(0.4, lane + 0.6)
    axes.set_yticks([*range(1, capacities + 1), lane], [*map(str, range(1, lane)), CLOUD])
    axes.grid(visible=True, axis="y", color=GRID.light, linewidth=0.6)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def _marks(
    axes: Axes, points: Sequence[tuple[int, int]], marker: str, colour: Colour, *, size: int
) -> None:
    index, lanes = [at for at, _ in points], [lane for _, lane in points]
    axes.plot(index, lanes, marker, color=colour.light, markersize=size)


def _capacity_legend() -> list[Line2D | Patch]:
    return [
        Line2D([], [], color=COMPUTE.light, linewidth=1.8, label="resident capacity"),
        Line2D([], [], color=COMPUTE.light, marker=".", linestyle="", label="smaller capacity ran"),
        Line2D(
            [], [], color=CLOUD_ORANGE.light, marker="|", linestyle="", label="answered by cloud"
        ),
        Line2D([], [], color=FALLBACK.light, marker="x", linestyle="", label="fallback"),
        Patch(color=OUTAGE.light, label="outage"),
    ]


def _by_capacity(capacities: int) -> dict[str, str]:
    colours = capacity_colours(capacities)
    return {f"capacity-{k}": colour.light for k, colour in enumerate(colours, start=1)}
