"""Builds the page of a device."""

import asyncio
from collections.abc import Sequence
from functools import partial
from urllib.parse import quote

from fastapi import Request
from nicegui import ui

from nestling_cloud.console.charts import echarts
from nestling_cloud.console.data import chart_tables
from nestling_cloud.console.data.console_data import ConsoleData, DeviceStart
from nestling_cloud.console.data.copied_state import device_notice
from nestling_cloud.console.data.guarantee import device_guarantee
from nestling_cloud.console.data.released_bundle import (
    Models,
    bundle_note,
    desired_version,
    models_of,
)
from nestling_cloud.console.data.table import Table
from nestling_cloud.console.data.units import NOTHING, age, number, percent
from nestling_cloud.console.pages.frame import SpanChoice, frame, heading
from nestling_cloud.console.pages.hard_inputs import HardInputsPanel
from nestling_cloud.console.pages.markup import ChartPanel, Grid, Text, Tile, block, link
from nestling_cloud.console.pages.tiles import TotalsTiles
from nestling_cloud.console.pages.totals_panels import TotalsPanels
from nestling_cloud.metrics.fleet_health import LONG_OUTBOX
from nestling_cloud.metrics.views import AnswerPoint, DeviceRow, DeviceView
from nestling_core.clock import unix_ms
from nestling_core.kinds.kind import Answer

_LIVE_S = 1.0
_LATEST_ROWS = 25
# Columns of `budget_by_time`.
_CAPACITY = {2: "var(--capacity-4)"}
_MEMORY = {3: "var(--capacity-3)"}
_SHARES = {5: "var(--multiplexer)", 7: "var(--cloud)"}
_LINK = {6: "var(--rival)"}


async def show(request: Request, parts: ConsoleData, device: str) -> None:
    """Build the page and keep it up to date.

    Args:
        request: the request for the page.
        parts: the sources of the figures.
        device: the id of the device, which need not have reported yet.
    """
    models = await asyncio.to_thread(models_of, parts.repository)
    page = _DevicePage(request, parts, device, models, await parts.live.age_ms())
    await page.banner.keep_fresh(page.refresh, every_s=_LIVE_S)


class _DevicePage:
    def __init__(
        self,
        request: Request,
        parts: ConsoleData,
        device: str,
        models: Models | None,
        age_ms: int | None,
    ) -> None:
        self._live = parts.live
        self._device = device
        self._repository = parts.repository
        with frame(request, "/", partial(parts.health.of_device, device)) as self.banner:
            with heading(device) as self._sub:
                self._spans = SpanChoice(request, age_ms, self.refresh)
            self._unknown = _unknown(parts.start)
            self._notice = Text("p", classes="notice")
            with block("div") as self._figures:
                self._state = _StateTiles(device)
                self._tiles = TotalsTiles(with_devices=False)
                self._panels = _Panels(device, models.nest if models else 0)
                self._inputs = HardInputsPanel(models)
                self._latest = _Latest(models)

    async def refresh(self) -> None:
        view = await self._live.device(self._device, self._spans.span)
        self._unknown.set_visibility(view is None)
        self._figures.set_visibility(view is not None)
        if view is None:
            return
        desired = await asyncio.to_thread(desired_version, self._repository)
        now_ms = unix_ms()
        state = "connected" if view.row.online else "not connected"
        seen = age(view.row.last_seen_ms, now_ms)
        self._sub.show(f"{state}, last seen {seen}, {view.row.profile or 'unknown board'}")
        self._notice.show(device_notice(view.copies))
        self._state.show(view.row, desired, now_ms)
        self._tiles.show(view.totals)
        self._panels.show(view, self._spans.query())
        self._inputs.show(view.hard_inputs, now_ms)
        self._latest.show(view)


def _unknown(start: DeviceStart) -> ui.element:
    with block("section", "empty") as section:
        Text("h2", "This device has never reported")
        Text("p", f"{start.instruction} A device with this id appears here with its first answer.")
        with block("pre"):
            Text("code", start.command)
        link("All devices", "/")
    return section


_AS_CALIBRATED = ("none", "inputs are no harder than the calibration inputs")
_UNKNOWN = (NOTHING, "no capacity ran on the last input")
_HARDER = ("drifting", "inputs are harder than calibrated for: the bundle's figures do not hold")
_INPUTS = {True: _HARDER, False: _AS_CALIBRATED, None: _UNKNOWN}


class _StateTiles:
    """Tiles with the state that the device last reported."""

    def __init__(self, device: str) -> None:
        with block("div", "tiles"):
            self._bundle = Tile("Bundle", "bundle", small=True)
            self._capacity = Tile("Resident capacity", "capacity")
            self._share = Tile("Active target share", "share-in-force")
            self._inputs = Tile("Input drift", "inputs", small=True)
            self._guarantee = Tile("Tolerated risk", "guarantee", small=True)
            self._pending = Tile("To ask the cloud about", "pending")
            self._battery = Tile("Battery", "battery")
            self._outbox = Tile("Receipts in the outbox", "outbox")
        link(
            "Change the operating point", f"/operating-point?device={quote(device)}", "after-tiles"
        )

    def show(self, row: DeviceRow, desired: str, now_ms: int) -> None:
        running = row.bundle_version
        wrong = bool(desired) and running != desired
        self._bundle.show(running or NOTHING, bundle_note(running, desired), broken=wrong)
        when = "" if row.online else f"reported {age(row.last_seen_ms, now_ms)}"
        self._capacity.show(str(row.capacity) if row.capacity else NOTHING, when)
        target = "its own setting" if row.target_share is None else percent(row.target_share)
        in_force = NOTHING if row.offload_share is None else percent(row.offload_share)
        self._share.show(in_force, f"set in the console: {target}")
        self._inputs.show(*_INPUTS[row.drifting])
        self._guarantee.show(*device_guarantee(row))
        self._pending.show(number(row.pending), "answered inputs")
        self._battery.show(percent(row.battery), when)
        full = row.outbox_depth > LONG_OUTBOX
        self._outbox.show(number(row.outbox_depth), when, broken=full)


class _Panels:
    def __init__(self, device: str, nest: int) -> None:
        csv = f"/api/v1/devices/{quote(device, safe='')}"
        with block("div", "panels"):
            self._totals = TotalsPanels(csv, nest)
            budgets = (
                ("Resident capacity", "At the latest answers.", "capacity", _CAPACITY, ""),
                ("Memory budget", "For the resident capacity.", "memory", _MEMORY, "kB"),
                (
                    "Battery and offload share",
                    "Charge left, and the target share in force.",
                    "battery",
                    _SHARES,
                    "%",
                ),
                ("Link", "Throughput; 0 means no link.", "link", _LINK, "Mbit/s"),
            )
            self._budgets = [
                (
                    ChartPanel(title, note, key=key, href=f"{csv}/budget.csv"),
                    echarts.column_chart(columns, unit),
                )
                for title, note, key, columns, unit in budgets
            ]

    def show(self, view: DeviceView, query: str) -> None:
        self._totals.show(view.totals, query)
        budget = chart_tables.budget_by_time(view.answers)
        for panel, draw in self._budgets:
            panel.show(budget, draw, query=query)


class _Latest:
    def __init__(self, models: Models | None) -> None:
        self._models = models
        label = "Latest answers"
        with block("section", "panel", aria_label=label, data_panel="answers"):
            Text("h2", label)
            with block("div", "scroll", tabindex="0", role="region", aria_label=label):
                self._grid = Grid(label)

    def show(self, view: DeviceView) -> None:
        latest = view.answers[: -_LATEST_ROWS - 1 : -1]
        self._grid.show(self._with_texts(chart_tables.answers(latest), latest))

    def _with_texts(self, table: Table, latest: Sequence[AnswerPoint]) -> Table:
        """Return a table with a row for each answer, with the answers as texts."""
        if self._models is None:
            return table
        at = [column.key for column in table.columns].index("answer")
        texts = [self._models.answer_text(Answer(one.answer, one.values)) for one in latest]
        rows = tuple(
            (*row[:at], text, *row[at + 1 :]) for row, text in zip(table.rows, texts, strict=True)
        )
        return Table(columns=table.columns, rows=rows)
