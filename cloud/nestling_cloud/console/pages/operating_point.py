"""Builds the page on which people set a target offload share and see how devices follow it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

from fastapi import Request
from nicegui import ui
from nicegui.events import GenericEventArguments

from nestling_cloud.bundles.repository_errors import RepositoryError
from nestling_cloud.console.charts import echarts
from nestling_cloud.console.data.console_data import ConsoleData
from nestling_cloud.console.data.expectation import (
    ExpectedEnergy,
    expected_accuracy,
    expected_energy,
    mixed_accuracy,
)
from nestling_cloud.console.data.guarantee import AGREEMENT_NOTE, agreement
from nestling_cloud.console.data.operating_point import PointState, read_state
from nestling_cloud.console.data.released_bundle import (
    Models,
    curves_measured_on,
    curves_table,
    read_models,
    useful_share_texts,
)
from nestling_cloud.console.data.units import NOTHING, energies, percent
from nestling_cloud.console.pages.facts import FactList
from nestling_cloud.console.pages.frame import SpanChoice, frame, heading
from nestling_cloud.console.pages.markup import INITIAL_VALUE, ChartPanel, Text, block, link
from nestling_cloud.console.pages.reported_panel import ReportedPanel
from nestling_cloud.console.pages.target_panels import TargetChangesPanel, TargetStatePanel
from nestling_cloud.control.targets import TargetError
from nestling_cloud.metrics.figures import Totals

PATH = "/operating-point"
_LIVE_S = 1.0
_SET_BY = "console"
_STEP = 100  # of the slider, from 0 to 1


async def show(request: Request, parts: ConsoleData, device: str | None) -> None:
    """Build the page and keep it up to date.

    Args:
        request: the request for the page.
        parts: the sources of the figures.
        device: the id of the device, or None for the whole fleet.
    """
    findings = parts.health.of_fleet
    if device is not None:
        findings = partial(parts.health.of_device, device)
    age_ms = await parts.live.age_ms()
    refresh = None
    with frame(request, PATH, findings) as banner:
        try:
            models = await asyncio.to_thread(read_models, parts.repository)
        except RepositoryError as err:
            with heading("Operating point"), block("section", "empty"):
                Text("h2", "No bundle can be shown")
                Text("p", str(err))
        else:
            refresh = _PointPage(request, parts, models, device, age_ms).refresh
    await banner.keep_fresh(refresh, every_s=_LIVE_S)


@dataclass(frozen=True, kw_only=True)
class _RecentFigures:
    """Recent figures of the fleet or the device, on which the estimates are based."""

    totals: Totals
    residents: Mapping[int, int]  # number of devices by resident capacity


class _PointPage:
    def __init__(
        self,
        request: Request,
        parts: ConsoleData,
        models: Models,
        device: str | None,
        age_ms: int | None,
    ) -> None:
        self._parts, self._models, self._device = parts, models, device
        self._where = "this device" if device else "the fleet"
        self._share: float | None = None  # on the slider; None until the first refresh
        self._recent: _RecentFigures | None = None
        with heading("Operating point") as sub:
            sub.show("The target for the share of inputs that devices send to the cloud.")
            self._spans = SpanChoice(request, age_ms, self.refresh)
        with block("div", "point"):
            with block("section", "panel", aria_label="Target", data_panel="target"):
                self._add_scope()
                self._add_slider()
                self._expected = FactList(
                    {
                        "agreement": f"Agreement audited on {self._where}",
                        "accuracy": "Accuracy on calibration inputs",
                        "energy": "Energy per answer, estimated",
                    }
                )
                self._audits = Text("p", "", "note")
                self._note = Text("p", "", "note")
                self._limits = Text("p", "", "note")
                self._limits.props["data-fact"] = "useful-share"
                self._add_buttons()
            with block("div", "column"):
                self._reported = ReportedPanel(self._device)
                self._state = TargetStatePanel()
        with block("div", "panels"):
            self._curves = ChartPanel(
                "Routing curves on calibration inputs",
                f"Accuracy against the target share, measured {curves_measured_on(models)}, not on "
                "this fleet.",
                key="curves",
                href="/api/v1/models/curves.csv",
                wide=True,
            )
        self._changes = TargetChangesPanel()

    async def refresh(self) -> None:
        state = await read_state(self._parts, self._device)
        self._recent = await self._read_recent()
        if self._share is None:
            self._share = _first_share(state)
            self._slider.props[INITIAL_VALUE] = str(round(self._share * _STEP))
            self._output.show(percent(self._share))
        self._state.show(state)
        self._changes.show(state.log)
        self._show_expected()
        self._reported.show(self._recent.totals if self._recent else None, self._spans.span)

    def _add_scope(self) -> None:
        Text("h2", f"Device {self._device}" if self._device else "Whole fleet")
        with block("div", "buttons"):
            field = block(
                "input",
                "field",
                type="search",
                placeholder="device id; empty for the fleet",
                aria_label="Device id; empty for the whole fleet",
            )
            field.props[INITIAL_VALUE] = self._device or ""
            field.on("change", _go, js_handler=_VALUE)
            if self._device:
                link("Whole fleet", PATH)

    def _add_slider(self) -> None:
        with block("div", "range"):
            self._slider = block(
                "input",
                type="range",
                min="0",
                max=str(_STEP),
                step="1",
                id="share",
                aria_label="Target offload share, percent",
            )
            self._slider.on("input", self._slid, js_handler=_VALUE, throttle=0.1)
            self._output = Text("output", NOTHING)
            self._output.props["for"] = "share"

    def _add_buttons(self) -> None:
        label = f"Apply to {self._device}" if self._device else "Apply to the fleet"
        with block("div", "buttons"):
            apply = Text("button", label, "strong")
            apply.props["type"] = "button"
            apply.props["id"] = "apply"
            apply.on("click", lambda: self._set_target(self._share))
            remove = Text("button", "Remove the target", "plain")
            remove.props["type"] = "button"
            remove.props["id"] = "take-back"
            remove.on("click", lambda: self._set_target(None))
        self._status = Text("p", "", "note")
        self._status.props["role"] = "status"

    async def _set_target(self, share: float | None) -> None:
        try:
            await asyncio.to_thread(self._parts.targets.set, self._device, share, set_by=_SET_BY)
        except TargetError as err:
            self._status.show(str(err))
            return
        fallback = (
            "devices use their own settings"
            if self._device is None
            else "the fleet's target applies, if there is one"
        )
        self._status.show(
            f"Target set to {percent(share)}."
            if share is not None
            else f"Target removed: {fallback}."
        )
        await self.refresh()

    def _slid(self, event: GenericEventArguments) -> None:
        self._share = min(max(int(event.args) / _STEP, 0.0), 1.0)
        self._output.show(percent(self._share))
        self._show_expected()

    async def _read_recent(self) -> _RecentFigures | None:
        if self._device is None:
            view = await self._parts.live.fleet(self._spans.span)
            return _RecentFigures(totals=view.totals, residents=view.residents)
        device = await self._parts.live.device(self._device, self._spans.span)
        if device is None:
            return None
        return _RecentFigures(totals=device.totals, residents={device.row.capacity: 1})

    def _show_expected(self) -> None:
        share = self._share or 0.0
        accuracy, capacities = self._accuracy(share)
        agreeing, audits = (
            agreement(self._recent.totals) if self._recent else (NOTHING, "no audits")
        )
        self._expected.show("agreement", agreeing)
        self._expected.show("accuracy", NOTHING if accuracy is None else percent(accuracy))
        spent = expected_energy(self._recent.totals, share) if self._recent else None
        self._expected.show("energy", _energy_text(spent))
        self._audits.show(
            f"Agreement with the cloud: measured on {self._where}, {self._spans.span.phrase}, on "
            f"answers that devices kept by choice, whatever the target; {audits}. "
            f"{AGREEMENT_NOTE}"
        )
        self._note.show(
            f"Accuracy: measured {curves_measured_on(self._models)}, for {capacities}; the fleet's "
            "own inputs may be harder. Energy: the reported compute energy per answer, plus this "
            f"share of the reported energy for sending one input, {self._spans.span.phrase}."
        )
        residents = self._recent.residents if self._recent else {}
        limits = useful_share_texts(self._models, residents or {self._models.nest: 1}, share)
        self._limits.show(". ".join(limits))
        curves = {
            capacity: [(point.offload_share, point.accuracy) for point in curve.points]
            for capacity, curve in enumerate(self._models.curves, start=1)
        }
        points = curves_table(self._models)
        self._curves.draw(points, echarts.curves_chart(curves, share))

    def _accuracy(self, share: float) -> tuple[float | None, str]:
        """Return the expected accuracy, and a phrase for the capacities that it applies to."""
        curves = self._models.curves
        if not curves:
            return None, "no capacity, because the bundle has no curves"
        residents = self._recent.residents if self._recent else {}
        mixed = mixed_accuracy(curves, residents, share)
        if mixed is None:
            capacities = "the largest capacity, because no device has answered"
            return expected_accuracy(curves[-1], share), capacities
        if len(residents) == 1:
            return mixed, f"capacity {next(iter(residents))}"
        return mixed, "the capacities of the devices that answered"


def _first_share(state: PointState) -> float:
    """Return the share at which the slider starts.

    This is the target or, if there is none, the smallest share in force. Without either, it is 0.
    """
    if state.target is not None:
        return state.target
    return state.in_force[0] if state.in_force else 0.0


def _energy_text(spent: ExpectedEnergy | None) -> str:
    if spent is None or not (spent.compute_mj or spent.radio_mj):
        return NOTHING
    remark = "" if spent.radio_mj else ", compute only"
    return energies({"compute": spent.compute_mj, "radio": spent.radio_mj}) + remark


def _go(event: GenericEventArguments) -> None:
    device = str(event.args).strip()
    ui.navigate.to(f"{PATH}?device={quote(device)}" if device else PATH)


_VALUE = "(event) => emit(event.target.value)"
