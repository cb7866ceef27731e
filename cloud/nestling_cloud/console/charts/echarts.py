"""Builds ECharts options from tables, so that a chart shows exactly what its data table says.

Charts are drawn as SVG. Their colors are custom properties of the style sheet, so a page can switch
between the light and the dark theme without redrawing its charts.
"""

from collections.abc import Callable, Mapping, Sequence

from nestling_cloud.console.charts.plot import (
    INK,
    MUTED,
    PLOT,
    Options,
    axis,
    base,
    few,
    grid_lines,
    points,
    route_colour,
    steps,
    time_chart,
)
from nestling_cloud.console.data.expectation import capacity_count
from nestling_cloud.console.data.table import Table

_DASHES = {"measured": "solid", "calibrated": [8, 4], "modelled": [3, 3]}
_SOURCE_COLOURS = {"compute": "var(--capacity-3)", "radio": "var(--cloud)"}
_ANSWERS = "answers_"


def routes_chart(table: Table, nest: int = 0) -> Options:
    """Return the chart of a table that `routes_by_time` built.

    The answers are stacked by route, and the fallbacks are a separate line.

    Args:
        table: the figures.
        nest: the number of capacities (sizes of the student) of the released bundle, or 0 if it is
            unknown. With this number, each capacity keeps its color even if larger capacities gave
            no answers.
    """
    keys = [column.key for column in table.columns]
    names = [key.removeprefix(_ANSWERS) for key in keys if key.startswith(_ANSWERS)]
    capacities = max(capacity_count(names), nest)
    series: list[Options] = [
        {
            "name": name,
            "type": "line",
            "stack": "answers",
            "step": "end",
            "symbol": "none",
            "lineStyle": {"width": 0},
            "areaStyle": {"opacity": 1, "color": route_colour(name, capacities)},
            "itemStyle": {"color": route_colour(name, capacities)},
            "data": steps(table, keys.index(_ANSWERS + name)),
        }
        for name in names
    ]
    series.append(
        {
            "name": "fallbacks",
            "type": "line",
            "step": "end",
            "symbol": "none",
            "lineStyle": {"width": 2, "color": "var(--fallback)"},
            "itemStyle": {"color": "var(--fallback)"},
            "data": steps(table, keys.index("fallbacks")),
        }
    )
    areas = [{"name": name, "icon": "roundRect"} for name in names]
    chart = time_chart(series, "answers")
    return {**chart, "legend": {**chart["legend"], "data": [*areas, {"name": "fallbacks"}]}}


def energy_chart(table: Table) -> Options:
    """Return the chart of a table that `energy_by_time` built.

    Each pair of source and provenance has a line. The line style, solid or dashed, shows the
    provenance: measured, calibrated or modelled.
    """
    series = []
    for index, column in enumerate(table.columns):
        source, _, rest = column.key.partition("_")
        provenance = rest.removesuffix("_mj_per_answer")
        if rest == provenance:  # a column of time or of counts
            continue
        colour = _SOURCE_COLOURS.get(source, INK)
        series.append(
            {
                "name": f"{source}, {provenance}",
                "type": "line",
                "symbol": "circle" if few(table, index) else "none",
                "symbolSize": 5,
                "connectNulls": False,
                "lineStyle": {
                    "width": 2,
                    "color": colour,
                    "type": _DASHES.get(provenance, "solid"),
                },
                "itemStyle": {"color": colour},
                "data": points(table, index),
            }
        )
    return time_chart(series, "mJ per answer")


def latency_chart(table: Table) -> Options:
    """Return the chart of a table that `latency_by_route` built.

    The three bars of each route are the median, the 95th and the 99th percentile.
    """
    routes = [str(row[0]) for row in table.rows]
    shades = ("var(--capacity-2)", "var(--capacity-3)", "var(--capacity-4)")
    series = [
        {
            "name": table.columns[index].label.removesuffix(", ms"),
            "type": "bar",
            "itemStyle": {"color": shade},
            "data": [row[index] for row in table.rows],
        }
        for index, shade in zip((3, 4, 5), shades, strict=True)
    ]
    return {
        **base(series),
        "xAxis": {"type": "category", "data": routes, **axis()},
        "yAxis": {"type": "value", "name": "ms", **axis(), **grid_lines()},
    }


def curves_chart(curves: Mapping[int, Sequence[tuple[float, float]]], marked: float) -> Options:
    """Return a chart of routing curves, which plot accuracy against the target offload share.

    Args:
        curves: a mapping from each capacity to its (share, accuracy) pairs, both from 0 to 1.
        marked: the share to mark with a line, or a negative number for no line.
    """
    series = _capacity_lines(curves, x_factor=100)
    if series and marked >= 0:
        series[0]["markLine"] = {
            "symbol": "none",
            "silent": True,
            "animation": False,
            "label": {"formatter": "target", "color": INK},
            "lineStyle": {"color": INK, "type": "solid"},
            "data": [{"xAxis": 100 * marked}],
        }
    return {
        **base(series),
        "grid": {**PLOT, "bottom": 32},  # room for the name of the axis
        "xAxis": {
            "type": "value",
            "name": "target share, %",
            "nameLocation": "middle",
            "nameGap": 28,
            "min": 0,
            "max": 100,
            **axis(),
            "nameTextStyle": {"color": MUTED, "align": "center"},
        },
        "yAxis": {
            "type": "value",
            "name": "accuracy, %",
            "scale": True,
            **axis(),
            **grid_lines(),
        },
    }


def bundles_chart(table: Table) -> Options:
    """Return the chart of a table that `bundles` built, with a bar for each bundle version."""
    series: list[Options] = [
        {
            "name": "devices",
            "type": "bar",
            "barMaxWidth": 28,
            "itemStyle": {"color": "var(--capacity-3)"},
            "label": {"show": True, "position": "right", "color": INK},
            "data": [row[1] for row in table.rows],
        }
    ]
    return {
        **base(series),
        "legend": {"show": False},
        "grid": {**PLOT, "right": 48, "top": 8},
        "xAxis": {"type": "value", "minInterval": 1, **axis(), **grid_lines()},
        "yAxis": {
            "type": "category",
            "inverse": True,
            "data": [row[0] for row in table.rows],
            **axis(),
            "axisLabel": {"color": MUTED, "width": 160, "overflow": "truncate"},
        },
    }


def route_energy_chart(table: Table) -> Options:
    """Return the chart of a table that `energy_by_route` built.

    Each pair of route and provenance has a bar with the energy per answer, stacked by source.
    Follow-ups are not answers and have no bar.
    """
    bars = list(
        dict.fromkeys((str(row[0]), str(row[2])) for row in table.rows if row[5] is not None)
    )
    sources = list(dict.fromkeys(str(row[1]) for row in table.rows))
    values = {(str(row[0]), str(row[2]), str(row[1])): row[5] for row in table.rows}
    series: list[Options] = [
        {
            "name": source,
            "type": "bar",
            "stack": "energy",
            "barMaxWidth": 44,
            "itemStyle": {"color": _SOURCE_COLOURS.get(source, INK)},
            "data": [values.get((*bar, source)) for bar in bars],
        }
        for source in sources
    ]
    names = [f"{route}\n{provenance}" for route, provenance in bars]
    return {
        **base(series),
        "xAxis": {"type": "category", "data": names, **axis()},
        "yAxis": {"type": "value", "name": "mJ per answer", **axis(), **grid_lines()},
    }


def rounds_chart(lines: Mapping[int, Sequence[tuple[float, float]]]) -> Options:
    """Return a chart of the accuracy of every capacity by federated round.

    Args:
        lines: a mapping from each capacity to its (place, accuracy) pairs. The place is the number
            of the round over all runs, and the accuracy is from 0 to 1.
    """
    return {
        **base(_capacity_lines(lines, x_factor=1)),
        "xAxis": {
            "type": "value",
            "name": "round number across runs",
            "minInterval": 1,
            "scale": True,
            **axis(),
        },
        "yAxis": {
            "type": "value",
            "name": "accuracy, %",
            "scale": True,
            **axis(),
            **grid_lines(),
        },
    }


def column_chart(columns: Mapping[int, str], unit: str) -> Callable[[Table], Options]:
    """Return a function that plots some columns of a table over time.

    The first column of the table must be the time.

    Args:
        columns: the color of each column to draw, by the index of the column.
        unit: the unit of the values.
    """

    def draw(table: Table) -> Options:
        series: list[Options] = [
            {
                "name": table.columns[index].label,
                "type": "line",
                "step": "end",
                "symbol": "circle" if few(table, index) else "none",
                "symbolSize": 5,
                "lineStyle": {"width": 2, "color": colour},
                "itemStyle": {"color": colour},
                "data": points(table, index),
            }
            for index, colour in columns.items()
        ]
        return time_chart(series, unit)

    return draw


def _capacity_lines(
    lines: Mapping[int, Sequence[tuple[float, float]]], *, x_factor: float
) -> list[Options]:
    count = max(lines, default=0)
    return [
        {
            "name": f"capacity-{capacity}",
            "type": "line",
            "symbolSize": 5,
            "lineStyle": {"width": 2, "color": route_colour(f"capacity-{capacity}", count)},
            "itemStyle": {"color": route_colour(f"capacity-{capacity}", count)},
            "data": [[x_factor * x, 100 * accuracy] for x, accuracy in points],
        }
        for capacity, points in sorted(lines.items())
    ]
