"""Builds the parts of ECharts options that all charts share."""

from typing import Any

from nestling_cloud.console.data.chart_tables import CLOUD
from nestling_cloud.console.data.expectation import capacity_of
from nestling_cloud.console.data.table import Table
from nestling_cloud.palette import capacity_colours

Options = dict[str, Any]
INK, MUTED, GRID, SURFACE = "var(--ink)", "var(--muted)", "var(--grid)", "var(--surface)"
_FONT = 'system-ui, "Segoe UI", Roboto, "Liberation Sans", sans-serif'
PLOT = {"left": 8, "right": 16, "top": 56, "bottom": 8, "containLabel": True}
# If there are fewer values than this, each is marked, because a single value has no visible line.
_FEW = 40


def few(table: Table, index: int) -> bool:
    """Return whether a column has so few values that the chart marks every value with a dot.

    Args:
        table: the table.
        index: the index of the column.
    """
    return sum(row[index] is not None for row in table.rows) < _FEW


def points(table: Table, index: int) -> list[list[Any]]:
    """Return the (time, value) points of a line, one for each row of a table.

    Args:
        table: the table; its first column is the time.
        index: the index of the column.
    """
    return [[row[0], row[index]] for row in table.rows]


def steps(table: Table, index: int) -> list[list[Any]]:
    """Return the points of a step line, with one more point that makes the last step visible.

    If there are fewer than two points, none is added, because the length of a step is unknown.

    Args:
        table: the table; its first column is the time.
        index: the index of the column.
    """
    line = points(table, index)
    if len(line) < 2:
        return line
    (before_ms, _), (last_ms, value) = line[-2:]
    return [*line, [2 * last_ms - before_ms, value]]


def time_chart(series: list[Options], unit: str) -> Options:
    """Return the options of a chart over time.

    Args:
        series: the lines or areas of the chart.
        unit: the unit of the values.
    """
    return {
        **base(series),
        "useUTC": True,
        "xAxis": {"type": "time", **axis(), "axisLabel": {"color": MUTED, "hideOverlap": True}},
        "yAxis": {"type": "value", "name": unit, "minInterval": 0, **axis(), **grid_lines()},
    }


def base(series: list[Options]) -> Options:
    """Return the options that all charts have in common, together with the series of one chart.

    Args:
        series: the lines, areas or bars of the chart.
    """
    return {
        "animation": False,
        "textStyle": {"fontFamily": _FONT},
        "grid": PLOT,
        "legend": {
            "type": "scroll",
            "top": 0,
            "left": 0,
            "itemWidth": 14,
            "itemHeight": 10,
            "textStyle": {"color": INK},
            "inactiveColor": MUTED,
            "pageTextStyle": {"color": MUTED},
            "pageIconColor": INK,
            "pageIconInactiveColor": GRID,
        },
        "tooltip": {
            "trigger": "axis",
            "confine": True,
            "backgroundColor": SURFACE,
            "borderColor": GRID,
            "textStyle": {"color": INK},
            "axisPointer": {"animation": False, "lineStyle": {"color": MUTED}},
        },
        "series": [{"emphasis": {"disabled": True}, **one} for one in series],
    }


def axis() -> Options:
    """Return the options of an axis without grid lines."""
    return {
        "axisLine": {"lineStyle": {"color": GRID}},
        "axisTick": {"show": False},
        "axisLabel": {"color": MUTED, "lineHeight": 15},
        "nameTextStyle": {"color": MUTED, "align": "left"},
        "splitLine": {"show": False},
    }


def grid_lines() -> Options:
    """Return the options that add grid lines across the chart to an axis."""
    return {"splitLine": {"lineStyle": {"color": GRID}}}


def route_colour(route: str, capacities: int) -> str:
    """Return the color of a route, as a custom property of the style sheet.

    Capacities (sizes of the student) are shades of blue; a larger capacity has a stronger shade.

    Args:
        route: "capacity-<k>" or "cloud"; any other route gets the color of fallbacks.
        capacities: the number of capacities of the bundle.
    """
    if route == CLOUD:
        return "var(--cloud)"
    capacity = capacity_of(route)
    if capacity is None:
        return "var(--fallback)"
    return f"var(--{capacity_colours(max(capacities, capacity))[capacity - 1].role})"
