"""Shows the charts of routes, energy and latency on the pages of the fleet and of devices."""

from functools import partial

from nestling_cloud.console.charts import echarts
from nestling_cloud.console.data import chart_tables
from nestling_cloud.console.pages.markup import ChartPanel
from nestling_cloud.metrics.figures import Totals


class TotalsPanels:
    """Panels with the charts of a time range.

    The panels must be placed in a block with the CSS class `panels`.

    Args:
        csv: the start of the addresses at which the figures of the charts are available as CSV.
        nest: the number of capacities of the released bundle, or 0 if it is unknown.
    """

    def __init__(self, csv: str, nest: int) -> None:
        self._draw_routes = partial(echarts.routes_chart, nest=nest)
        self._routes = ChartPanel(
            "Where inputs are answered",
            "Answers per step, stacked. Fallback: no usable answer from the cloud.",
            key="routes",
            href=f"{csv}/routes.csv",
            wide=True,
        )
        self._energy = ChartPanel(
            "Energy per answer",
            "By source. Solid lines are measured, dashed calibrated, dotted modelled.",
            key="energy",
            href=f"{csv}/energy.csv",
        )
        self._latency = ChartPanel(
            "Latency by route",
            "From input to answer.",
            key="latency",
            href=f"{csv}/latency.csv",
        )

    def show(self, totals: Totals, query: str) -> None:
        """Draw the charts.

        Args:
            totals: the figures of the time range.
            query: the query string to append to the CSV links.
        """
        self._routes.show(chart_tables.routes_by_time(totals), self._draw_routes, query=query)
        energy, latency = chart_tables.energy_by_time(totals), chart_tables.latency_by_route(totals)
        self._energy.show(energy, echarts.energy_chart, query=query)
        self._latency.show(latency, echarts.latency_chart, query=query)
