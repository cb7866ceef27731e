"""Formats the figures of a run as tables of text, for the page and for the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor, isnan, log10
from typing import Any

import numpy as np

from nestling_sim.report.evidence import Evidence, Timeline, routes_in_order, tally

POLICIES = {"device_only": "device only", "hybrid": "hybrid", "cloud_only": "cloud only"}

_RIVALS = {
    "device_only_filtered": "device only, filtered",
    "cloud_only_filtered": "cloud only, filtered",
    "max_softmax_same_share": "max-softmax, same share",
    "max_softmax_filtered_same_share": "max-softmax, filtered, same share",
    "margin_same_share": "margin, same share",
    "margin_filtered_same_share": "margin, filtered, same share",
    "oracle_same_share": "oracle, same share",
}
_SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
_RANKS = ("p50", "p95", "p99")
_NOTHING = "-"
_SPACE = "\u00a0"  # non-breaking, so that a figure and its unit stay on one line


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of text.

    Attributes:
        head: the names of the columns.
        rows: the cells of each row. The first cell is the name of the row.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def percent(share: float) -> str:
    """Format a share from 0 to 1 as a percentage."""
    return f"{100 * share:.1f}{_SPACE}%"


def significant(value: float) -> str:
    """Format a number with three significant digits, without an exponent.

    From 1000 on, all digits before the decimal point are kept.
    """
    magnitude = floor(log10(abs(value))) if value else 0
    return f"{value:,.{max(2 - magnitude, 0)}f}"


def millijoules(energy_mj: float) -> str:
    """Format an energy in millijoules with its unit."""
    return f"{significant(energy_mj)}{_SPACE}mJ"


def shared_recordings(summary: Mapping[str, Any]) -> str:
    """Return a clause that says how many recordings the devices share, or "" if they share none."""
    if not summary["sharing_devices"]:
        return ""
    return (
        f"; the {summary['devices']} devices share {summary['recordings']} recordings, each from "
        "another starting point"
    )


def comparison(summary: Mapping[str, Any]) -> Table:
    """Return a table of the accuracy and the mean energy per input, by policy.

    The first rows are device only, hybrid (the run itself) and cloud only. The rows after them are
    device only and cloud only behind a stream filter, and other routers that send as many inputs as
    the run did. No energy is computed for these rows.
    """
    accuracy, energy = summary["accuracy"], summary["energy_mj_per_input"]
    policies = [
        (label, percent(accuracy[policy]), significant(energy[policy]))
        for policy, label in POLICIES.items()
    ]
    rivals = [
        (label, percent(accuracy[policy]), _NOTHING)
        for policy, label in _RIVALS.items()
        if policy in accuracy
    ]
    return Table(
        head=("policy", "accuracy", f"mJ per input ({energy['provenance']})"),
        rows=[*policies, *rivals],
    )


def accuracy_by_share(evidence: Evidence) -> Table:
    """Return a table of the accuracy of every router at several offload shares.

    The accuracies are interpolated linearly on the routers' curves.
    """
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


def moments(timeline: Timeline) -> Table:
    """Return a table of the inputs of a timeline."""
    return Table(
        head=("input", "truth", "answer", "answered by", "belief"),
        rows=[
            (
                f"{moment.receipt.input_index}",
                moment.truth,
                moment.answer,
                moment.receipt.route.replace("-", " "),
                _NOTHING if isnan(moment.confidence) else percent(moment.confidence),
            )
            for moment in timeline.moments
        ],
    )


def devices(evidence: Evidence) -> Table:
    """Return a table with the figures of every device.

    The columns are the number of inputs, the range of the resident capacities, and the numbers of
    capacity switches, fallbacks and inputs during outages.
    """
    return Table(
        head=("device", "inputs", "capacities", "switches", "fallbacks", "during outages"),
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
    """Return a table of the mean energy per input by source, for each policy."""
    energy = summary["energy_mj_per_input"]
    return Table(
        head=("policy", "compute mJ", "radio mJ", "total mJ", "provenance"),
        rows=[
            (
                label,
                significant(energy["by_source"][policy]["compute"]),
                significant(energy["by_source"][policy]["radio"]),
                significant(energy[policy]),
                energy["provenance"],
            )
            for policy, label in POLICIES.items()
        ],
    )


def routes_by_device(evidence: Evidence) -> Table:
    """Return a table of the numbers of inputs, by device and by route."""
    tallies = tally(evidence)
    routes = routes_in_order(tallies, len(evidence.summary["capacities"]))
    return Table(
        head=("device", *(route.replace("-", " ") for route in routes)),
        rows=[(one.device, *(f"{one.routes[route]}" for route in routes)) for one in tallies],
    )


def latency(summary: Mapping[str, Any]) -> Table:
    """Return a table of the latency percentiles of each route, in milliseconds.

    Each cell has two figures. The first is the latency for the device's board and link, and the
    second is the wall time on the machine that ran the simulation.
    """
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
    """Return a table of the properties of each capacity.

    The properties are the calibration accuracy, the bytes of the weights, and the number of
    multiply-accumulates.
    """
    return Table(
        head=("capacity", "accuracy on calibration inputs", "bytes", "multiply-accumulates"),
        rows=[
            (f"{k}", percent(one["calibration_accuracy"]), f"{one['bytes']:,}", f"{one['macs']:,}")
            for k, one in enumerate(summary["capacities"], start=1)
        ],
    )


def transfers(summary: Mapping[str, Any]) -> Table:
    """Return a table of the bytes that were transferred over the links.

    Bytes of offloads and of telemetry are totals of the fleet. Bytes of bundles are listed for each
    device.
    """
    sent = summary["bytes"]
    down = [
        (f"bundle to {device}", f"{count:,}")
        for device, count in sorted(sent["bundle_down_by_device"].items())
    ]
    up = [("offloads up", f"{sent['offload_up']:,}"), ("telemetry up", f"{sent['telemetry_up']:,}")]
    return Table(head=("transfer", "bytes"), rows=[*up, *down])


def stages(summary: Mapping[str, Any]) -> Table:
    """Return a table of the wall time of every stage of the run."""
    return Table(
        head=("stage", "seconds"),
        rows=[(stage, f"{seconds:.1f}") for stage, seconds in summary["wall_s"].items()],
    )


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low}" if low == high else f"{low} to {high}"


def _figure(value: float | None) -> str:
    return _NOTHING if value is None else significant(value)
