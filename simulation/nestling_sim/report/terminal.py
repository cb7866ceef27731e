"""Lays out the report of a run for a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from nestling_cloud.bundles.quick_notice import QUICK_NOTICE
from nestling_sim.report.federated import gains
from nestling_sim.report.follow_ups import asked_later
from nestling_sim.report.refusals import never_sent, reasons_line
from nestling_sim.report.tables import Table, comparison, latency, percent, shared_recordings


def summary_table(summary: Mapping[str, Any]) -> RenderableType:
    """Return the main figures of summary.json as tables for rich's console."""
    title = f"{summary['bundle_version']} on {summary['devices']} devices, seed {summary['seed']}"
    return Group(
        Text(title, style="bold"),
        *([Text(QUICK_NOTICE, style="bold red")] if summary["quick"] else []),
        _rich(comparison(summary), emphasis="hybrid"),
        Text(
            f"latency in ms: {summary['latency_provenance']} for the board / "
            "measured on this machine"
        ),
        _rich(latency(summary)),
        Padding(_facts(summary), (0, 1)),
        *_federated(summary),
    )


def _federated(summary: Mapping[str, Any]) -> list[RenderableType]:
    learning = summary.get("federated")
    if learning is None:
        return []
    end = f"released {learning['released']}" if learning["released"] else "nothing was released"
    return [
        Text(f"federated rounds: {end}: {learning['verdict']}"),
        _rich(gains(learning), emphasis="fleet"),
    ]


def _rich(table_text: Table, emphasis: str = "") -> RichTable:
    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=True)
    for number, name in enumerate(table_text.head):
        table.add_column(name, justify="right" if number else "left")
    for row in table_text.rows:
        table.add_row(*row, style="bold" if row[0] == emphasis else None)
    return table


def _facts(summary: Mapping[str, Any]) -> RichTable:
    receipts, share = summary["receipts"], percent(summary["offload_share"])
    routes = ", ".join(f"{route} {count}" for route, count in summary["routes"].items())
    table = RichTable.grid(padding=(0, 2))
    table.add_row("answered", f"{summary['answered']} of {summary['inputs']} inputs")
    if summary["sharing_devices"]:
        table.add_row("recordings", shared_recordings(summary).removeprefix("; "))
    table.add_row("routes", f"{routes} ({share} offloaded)")
    table.add_row("fallbacks", f"{summary['fallbacks']}")
    for name, text in _not_sent(summary["not_sent"]):
        table.add_row(name, text)
    for name, text in asked_later(summary["follow_ups"]):
        table.add_row(name, text)
    table.add_row("switches", f"{summary['capacity_switches']} between capacities")
    table.add_row(
        "receipts",
        f"{receipts['sent']} sent, {receipts['stored']} stored, {receipts['lost']} lost, "
        f"{receipts['duplicate']} duplicate",
    )
    return table


def _not_sent(not_sent: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the table rows (name, text) on inputs whose offload was ruled out or failed, if any."""
    if not_sent["inputs"]:
        yield "cloud unavailable", f"{not_sent['inputs']}: {reasons_line(not_sent)}"
    if not_sent["never"]:
        yield "never available", never_sent(not_sent)
