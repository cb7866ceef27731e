"""The report for a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from nestling_sim.report.federated import gains
from nestling_sim.report.refusals import reasons_line, shut_out
from nestling_sim.report.tables import Table, comparison, dealt_again, latency, percent


def summary_table(summary: Mapping[str, Any]) -> RenderableType:
    """Lay out a run's summary for rich's console."""
    title = f"{summary['bundle_version']} on {summary['devices']} devices, seed {summary['seed']}"
    return Group(
        Text(title, style="bold"),
        _rich(comparison(summary), emphasis="hybrid"),
        Text(f"latency, ms: {summary['latency_provenance']} for the board / measured here"),
        _rich(latency(summary)),
        Padding(_facts(summary), (0, 1)),
        *_learned(summary),
    )


def _learned(summary: Mapping[str, Any]) -> list[RenderableType]:
    story = summary.get("federated")
    if story is None:
        return []
    end = f"released {story['released']}" if story["released"] else "nothing was released"
    return [Text(f"federated: {end}: {story['verdict']}"), _rich(gains(story), emphasis="fleet")]


def _rich(given: Table, emphasis: str = "") -> RichTable:
    made = RichTable(box=box.SIMPLE_HEAD, pad_edge=True)
    for number, name in enumerate(given.head):
        made.add_column(name, justify="right" if number else "left")
    for row in given.rows:
        made.add_row(*row, style="bold" if row[0] == emphasis else None)
    return made


def _facts(summary: Mapping[str, Any]) -> RichTable:
    receipts, share = summary["receipts"], percent(summary["offload_share"])
    routes = ", ".join(f"{route} {count}" for route, count in summary["routes"].items())
    made = RichTable.grid(padding=(0, 2))
    made.add_row("answered", f"{summary['answered']} of {summary['inputs']} inputs")
    if summary["dealt_again"]:
        made.add_row("recordings", dealt_again(summary).removeprefix("; "))
    made.add_row("routes", f"{routes} ({share} offloaded)")
    made.add_row("used the fallback", f"{summary['fallbacks']}")
    for name, text in _not_sent(summary["not_sent"]):
        made.add_row(name, text)
    made.add_row("switches", f"{summary['capacity_switches']} of capacity")
    made.add_row(
        "receipts",
        f"{receipts['sent']} sent, {receipts['stored']} stored, {receipts['lost']} lost, "
        f"{receipts['duplicate']} duplicate",
    )
    return made


def _not_sent(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What kept inputs from the cloud, where anything did."""
    if found["inputs"]:
        yield "not sent", f"{found['inputs']}: {reasons_line(found)}"
    if found["never"]:
        yield "never sent", shut_out(found).removeprefix("Never within the limits: ")
