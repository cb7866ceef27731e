"""A run's figures as tables of text, the same for the page and for the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import Any

import numpy as np

from nestling_sim.report.evidence import Evidence, routes_in_order, tally

WAYS = {"device_only": "device only", "hybrid": "hybrid", "cloud_only": "cloud only"}

_RIVALS = {
    "max_softmax_same_share": "max-softmax, same share",
    "oracle_same_share": "oracle, same share",
}
_SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
_RANKS = ("p50", "p95", "p99")
_NOTHING = "-"
_SPACE = "\u00a0"  # a figure and its unit stay on one line


@dataclass(frozen=True, kw_only=True)
class Table:
    """Text in rows; the first column names the row, the others are figures."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def percent(share: float) -> str:
    """A share as people read it."""
    return f"{100 * share:.1f}{_SPACE}%"


def significant(value: float) -> str:
    """A figure to three significant digits, never in powers of ten."""
    magnitude = floor(log10(abs(value))) if value else 0
    return f"{value:,.{max(2 - magnitude, 0)}f}"


def millijoules(energy_mj: float) -> str:
    """An energy as people read it."""
    return f"{significant(energy_mj)}{_SPACE}mJ"


def dealt_again(summary: Mapping[str, Any]) -> str:
    """Say that devices share recordings; empty where each has its own."""
    if not summary["dealt_again"]:
        return ""
    return (
        f"; the {summary['devices']} devices share {summary['recordings']} recordings, each from "
        "another starting point"
    )


def comparison(summary: Mapping[str, Any]) -> Table:
    """Accuracy and energy of the hybrid, of its two ends, and of its rivals."""
    accuracy, energy = summary["accuracy"], summary["energy_mj_per_input"]
    ways = [
        (words, percent(accuracy[way]), significant(energy[way])) for way, words in WAYS.items()
    ]
    rivals = [(words, percent(accuracy[way]), _NOTHING) for way, words in _RIVALS.items()]
    return Table(
        head=("way", "accuracy", f"mJ per input ({energy['provenance']})"), rows=[*ways, *rivals]
    )


def accuracy_by_share(evidence: Evidence) -> Table:
    """Accuracy of every router at some shares, read off its curve."""
    curves = {
        name: np.array(sorted(points)).T
        for name, points in evidence.curves.items()
        if len(points) > 1
    }
    rows = [
        (
            percent(at),
            *(percent(np.interp(at, shares, values)) for shares, values in curves.values()),
        )
        for at in _SHARES
    ]
    return Table(head=("share sent to the cloud", *curves), rows=rows)


def devices(evidence: Evidence) -> Table:
    """What happened to every device."""
    return Table(
        head=("device", "inputs", "capacities", "switches", "used the fallback", "during outage"),
        rows=[
            (
                one.device,
                f"{len(one.rows)}",
                _range([row.resident_capacity for row in one.rows]),
                f"{one.switches}",
                f"{one.fallbacks}",
                f"{one.cut_off}",
            )
            for one in tally(evidence)
        ],
    )


def energy_by_source(summary: Mapping[str, Any]) -> Table:
    """Energy of one input, by its source."""
    energy = summary["energy_mj_per_input"]
    return Table(
        head=("way", "compute mJ", "radio mJ", "together mJ", "provenance"),
        rows=[
            (
                words,
                significant(energy["by_source"][way]["compute"]),
                significant(energy["by_source"][way]["radio"]),
                significant(energy[way]),
                energy["provenance"],
            )
            for way, words in WAYS.items()
        ],
    )


def routes_by_device(evidence: Evidence) -> Table:
    """How many inputs of every device each route answered."""
    tallies = tally(evidence)
    routes = routes_in_order(tallies, len(evidence.summary["capacities"]))
    return Table(
        head=("device", *(route.replace("-", " ") for route in routes)),
        rows=[(one.device, *(f"{one.routes[route]}" for route in routes)) for one in tallies],
    )


def latency(summary: Mapping[str, Any]) -> Table:
    """Latency by route, milliseconds: in the device's time / in this machine's."""
    kinds = ("latency_ms", "wall_latency_ms")
    rows = [
        (
            route.replace("-", " "),
            *(
                " / ".join(_figure(summary[kind].get(route, {}).get(rank)) for kind in kinds)
                for rank in _RANKS
            ),
        )
        for route in summary["routes"]
    ]
    return Table(head=("route", *_RANKS), rows=rows)


def capacities(summary: Mapping[str, Any]) -> Table:
    """The nest: each capacity's accuracy on the calibration inputs, its size and its work."""
    return Table(
        head=("capacity", "accuracy on calibration inputs", "bytes", "multiply-accumulates"),
        rows=[
            (f"{k}", percent(one["calibration_accuracy"]), f"{one['bytes']:,}", f"{one['macs']:,}")
            for k, one in enumerate(summary["capacities"], start=1)
        ],
    )


def transfers(summary: Mapping[str, Any]) -> Table:
    """Bytes over the links."""
    sent = summary["bytes"]
    down = [
        (f"bundle to {device}", f"{count:,}")
        for device, count in sorted(sent["bundle_down_by_device"].items())
    ]
    up = [("offloads up", f"{sent['offload_up']:,}"), ("telemetry up", f"{sent['telemetry_up']:,}")]
    return Table(head=("what", "bytes"), rows=[*up, *down])


def stages(summary: Mapping[str, Any]) -> Table:
    """Wall time of every stage of the run."""
    return Table(
        head=("stage", "seconds"),
        rows=[(stage, f"{seconds:.1f}") for stage, seconds in summary["wall_s"].items()],
    )


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low}" if low == high else f"{low} to {high}"


def _figure(value: float | None) -> str:
    return _NOTHING if value is None else significant(value)
