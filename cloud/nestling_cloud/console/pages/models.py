"""Builds the page of the released bundle."""

import asyncio

from fastapi import Request

from nestling_cloud.bundles.repository_errors import RepositoryError
from nestling_cloud.console.charts import echarts
from nestling_cloud.console.data.console_data import ConsoleData
from nestling_cloud.console.data.released_bundle import (
    Models,
    capacities_table,
    curves_measured_on,
    curves_table,
    measured_on,
    read_models,
    routing_texts,
)
from nestling_cloud.console.data.serving_table import serving_table
from nestling_cloud.console.data.table import Column, Table
from nestling_cloud.console.data.time_spans import SPANS
from nestling_cloud.console.data.units import latency, macs, percent, size
from nestling_cloud.console.pages.frame import frame, heading
from nestling_cloud.console.pages.markup import ChartPanel, Grid, Text, block, link
from nestling_cloud.metrics.views import FleetView
from nestling_core.kinds.kind import name_of

_SEEN = SPANS["24h"]
_LIVE_S = 2.0


async def show(request: Request, parts: ConsoleData) -> None:
    """Build the page.

    If the bundle cannot be read, the page says why and what to do.

    Args:
        request: the request for the page.
        parts: the sources of the figures.
    """
    with frame(request, "/models", parts.health.of_fleet) as banner:
        try:
            models = await asyncio.to_thread(read_models, parts.repository)
        except RepositoryError as err:
            with heading("Models"), block("section", "empty"):
                Text("h2", "No bundle can be shown")
                Text("p", str(err))
        else:
            _show_bundle(models, await parts.live.fleet(_SEEN))
            _show_serving(serving_table(parts.served()))
    await banner.keep_fresh(None, every_s=_LIVE_S)


def _show_bundle(models: Models, view: FleetView) -> None:
    overview = models.overview
    shape = " x ".join(map(str, overview["input_shape"]))
    with heading("Models") as sub:
        sub.show(
            f"{models.bundle_version}{' (quick)' if overview['quick'] else ''}: "
            f"task {overview['task']}, release {overview['release']}, "
            f"input {shape}, {len(overview['classes'])} classes"
        )
    with block("section", "panel spaced", aria_label="Capacities", data_panel="capacities"):
        Text("h2", "Capacities")
        Text(
            "p",
            "Each capacity is a prefix of the next. A device downloads a ring and a template for "
            f"each capacity that it holds. Accuracy was measured {measured_on(models)}, not on "
            f"this fleet. Latency is the fleet's median over the last {_SEEN.label}, with its "
            "provenance.",
            "note",
        )
        with block("div", "scroll tall", tabindex="0", role="region", aria_label="Capacities"):
            Grid("Capacities", figures=True).show(_formatted(models, view))
        cloud = overview["cloud"]
        Text(
            "p",
            f"The cloud answers with {cloud['name']}: accuracy "
            f"{percent(cloud['calibration_accuracy'])} on the same calibration inputs, "
            f"{macs(cloud['macs'])}, {size(cloud['bytes'])}. Calibration and golden inputs take "
            f"{size(overview['shared_bytes'])} on every device.",
            "note",
        )
        link("CSV", "/api/v1/models/capacities.csv", "note")
    _show_wire_forms(models)
    _show_routing(models)
    _show_curves(models)
    _show_signature(models)


def _show_wire_forms(models: Models) -> None:
    if not models.overview["wire_forms"]:
        return
    columns = tuple(
        Column(key=key, label=label)
        for key, label in (
            ("form", "form"),
            ("size", "size of an input"),
            ("accuracy", "cloud's accuracy, calibration"),
            ("changed", "changed answers"),
            ("lost", "lost probability"),
            ("used", "used"),
        )
    )
    rows = tuple(
        (
            form["name"],
            size(form["payload_bytes"]),
            percent(form["calibration_accuracy"]),
            percent(form["changed"]),
            f"{round(100 * form['lost'], 2) + 0.0:+.2f} points",
            "yes" if form["used"] else "",
        )
        for form in models.overview["wire_forms"]
    )
    with block("section", "panel spaced", aria_label="Wire forms", data_panel="wire-forms"):
        Text("h2", "Wire forms")
        Text(
            "p",
            "The forms in which an input can be sent to the cloud. Devices use the smallest one "
            f"that costs hardly any accuracy. Measured {measured_on(models)}.",
            "note",
        )
        with block("div", "scroll tall", tabindex="0", role="region", aria_label="Wire forms"):
            Grid("Wire forms", figures=True).show(Table(columns=columns, rows=rows))
        link("CSV", "/api/v1/models/wire-forms.csv", "note")


def _show_serving(table: Table) -> None:
    with block("section", "panel spaced", aria_label="Serving", data_panel="serving"):
        Text("h2", "Serving")
        Text(
            "p",
            "The loaded versions of the teacher, and what they have done since the cloud started. "
            "A request is refused if it could not be answered by its deadline.",
            "note",
        )
        with block("div", "scroll tall", tabindex="0", role="region", aria_label="Serving"):
            Grid("Serving", figures=True).show(table)


def _show_routing(models: Models) -> None:
    with block("section", "panel spaced", aria_label="Routing", data_panel="routing"):
        Text("h2", "Routing")
        for line in routing_texts(models):
            Text("p", line.strip(), "note")


def _show_curves(models: Models) -> None:
    curves = {
        capacity: [(point.offload_share, point.accuracy) for point in curve.points]
        for capacity, curve in enumerate(models.curves, start=1)
    }
    with block("div", "panels"):
        panel = ChartPanel(
            "Routing curves on calibration inputs",
            f"Accuracy against the offload share, measured {curves_measured_on(models)}; the "
            "multiplexer was not fitted on these inputs. Not this fleet's accuracy: its inputs may "
            "be harder.",
            key="curves",
            href="/api/v1/models/curves.csv",
            wide=True,
        )
    panel.show(curves_table(models), lambda _: echarts.curves_chart(curves, -1))


def _show_signature(models: Models) -> None:
    signature = models.signature
    channels = ", ".join(
        f"{name} ({unit})" if unit else name
        for name, unit in zip(signature.channels, signature.units, strict=False)
    )
    with block("section", "panel spaced", aria_label="Input and answers"):
        Text("h2", "Input and answers")
        if channels:
            Text("p", f"Channels: {channels}", "note")
        Text("p", f"Kind of task: {name_of(signature)}", "note")
        if signature.classes:
            Text("p", f"Classes: {', '.join(signature.classes)}", "note")
        if signature.values:
            values = (
                f"{one.name} (right within {one.tolerance:g} {one.unit})"
                for one in signature.values
            )
            Text("p", f"Values: {', '.join(values)}", "note")


def _formatted(models: Models, view: FleetView) -> Table:
    """Build a table of the capacities, with formatted numbers and the fleet's median latencies."""
    reported = {entry.route: entry for entry in view.totals.routes}
    names = ("capacity", "accuracy", "weights", "ring", "template", "memory", "work", "latency")
    labels = {
        "accuracy": "accuracy, calibration",
        "ring": "ring, download",
        "template": "ONNX template",
        "work": "compute",
        "latency": "latency, fleet",
    }
    columns = tuple(Column(key=name, label=labels.get(name, name)) for name in names)

    def speed(capacity: int) -> str:
        entry = reported.get(f"capacity-{capacity}")
        if entry is None:
            return "no answers"
        return f"{latency(entry.latency_p50_ms)} {entry.latency_provenance}"

    rows = tuple(
        (
            str(row[0]),
            percent(float(row[1] or 0)),
            *(size(float(cell or 0)) for cell in row[3:7]),
            macs(float(row[7] or 0)),
            speed(int(row[0] or 0)),
        )
        for row in capacities_table(models).rows
    )
    return Table(columns=columns, rows=rows)
