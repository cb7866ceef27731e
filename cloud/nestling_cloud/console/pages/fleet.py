"""Builds the page of the fleet."""

import asyncio

from fastapi import Request
from nicegui import ui

from nestling_cloud.console.charts import echarts
from nestling_cloud.console.data import chart_tables
from nestling_cloud.console.data.console_data import ConsoleData, DeviceStart
from nestling_cloud.console.data.copied_state import fleet_notice
from nestling_cloud.console.data.released_bundle import models_of
from nestling_cloud.console.data.units import number
from nestling_cloud.console.pages.device_table import DeviceTable
from nestling_cloud.console.pages.frame import SpanChoice, frame, heading
from nestling_cloud.console.pages.markup import ChartPanel, Text, block
from nestling_cloud.console.pages.tiles import TotalsTiles
from nestling_cloud.console.pages.totals_panels import TotalsPanels
from nestling_cloud.metrics.views import FleetView

_CSV = "/api/v1/fleet"
_LIVE_S = 1.0


async def show(request: Request, parts: ConsoleData) -> None:
    """Build the page and keep it up to date.

    Args:
        request: the request for the page.
        parts: the sources of the figures.
    """
    models = await asyncio.to_thread(models_of, parts.repository)
    page = _FleetPage(request, parts, await parts.live.age_ms(), models.nest if models else 0)
    await page.banner.keep_fresh(page.refresh, every_s=_LIVE_S)


class _FleetPage:
    def __init__(self, request: Request, parts: ConsoleData, age_ms: int | None, nest: int) -> None:
        self._live = parts.live
        with frame(request, "/", parts.health.of_fleet) as self.banner:
            with heading("Fleet") as self._sub:
                self._spans = SpanChoice(request, age_ms, self.refresh)
            self._notice = Text("p", classes="notice")
            self._empty = _no_devices(parts.start)
            with block("div") as self._figures:
                self._tiles = TotalsTiles(with_devices=True)
                with block("div", "panels"):
                    self._totals = TotalsPanels(_CSV, nest)
                    self._bundles = ChartPanel(
                        "Bundles",
                        "Devices by the bundle version that they last reported.",
                        key="bundles",
                        href=f"{_CSV}/bundles.csv",
                    )
                    self._spent = ChartPanel(
                        "Energy by route",
                        "Energy per answer of each route, with one bar for each provenance.",
                        key="energy-by-route",
                        href=f"{_CSV}/energy-by-route.csv",
                    )
                self._devices = DeviceTable(parts.live)

    async def refresh(self) -> None:
        view = await self._live.fleet(self._spans.span)
        self._empty.set_visibility(view.known == 0)
        self._figures.set_visibility(view.known > 0)
        self._sub.show(_summary(view))
        self._notice.show(fleet_notice(view.shared))
        self._tiles.show_fleet(view, self._spans.span)
        self._show_charts(view)
        await self._devices.refresh()

    def _show_charts(self, view: FleetView) -> None:
        query = self._spans.query()
        self._totals.show(view.totals, query)
        for panel, figures, draw in (
            (self._bundles, chart_tables.bundles(view), echarts.bundles_chart),
            (self._spent, chart_tables.energy_by_route(view.totals), echarts.route_energy_chart),
        ):
            panel.show(figures, draw, query=query)


def _summary(view: FleetView) -> str:
    if not view.known:
        return ""
    versions = len(view.bundles)
    connected = f"{number(view.online)} of {number(view.known)} devices connected"
    return connected + (f", {versions} bundle versions" if versions > 1 else "")


def _no_devices(start: DeviceStart) -> ui.element:
    with block("section", "empty") as section:
        Text("h2", "No device has reported yet")
        Text("p", f"{start.instruction} It appears here with its first answer.")
        with block("pre"):
            Text("code", start.command)
        Text("p", "On a Raspberry Pi: see docs/deploy.md.")
    return section
