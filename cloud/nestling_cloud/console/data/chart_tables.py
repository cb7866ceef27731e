"""Builds the tables behind the charts, which pages show and the API returns as CSV.

All functions are pure.
"""

from collections.abc import Iterable

from nestling_cloud.console.data.energy_saved import spent_by_provenance
from nestling_cloud.console.data.table import Cell, Table, table
from nestling_cloud.console.data.units import time_utc
from nestling_cloud.metrics.figures import Bucket, Totals
from nestling_cloud.metrics.views import AnswerPoint, FleetView

CLOUD = "cloud"


def routes_by_time(totals: Totals) -> Table:
    """Build a table of the number of answers by route, and of fallbacks, in every time step.

    A fallback is an answer that the device gave itself, because the cloud was asked but gave no
    usable answer in time.
    """
    names = [figures.route for figures in totals.routes]
    columns = [("start_ms", ""), ("start_utc", "start, UTC")]
    columns += [(f"answers_{name}", name) for name in names]
    columns += [("fallbacks", "fallbacks")]

    def row(bucket: Bucket) -> list[Cell]:
        counts = [bucket.routes.get(name, 0) for name in names]
        return [bucket.start_ms, time_utc(bucket.start_ms), *counts, bucket.fallbacks]

    return table(columns, map(row, totals.series))


def energy_by_time(totals: Totals) -> Table:
    """Build a table of the energy per answer in every time step, by source and provenance.

    The provenance is how an energy is known: measured, calibrated or modelled. Each energy includes
    that of follow-ups, and is divided by the number of all answers in the step, including answers
    that did not report it. The energy of a step without answers is None.
    """
    kinds = energy_kinds(totals)
    columns = [("start_ms", ""), ("start_utc", "start, UTC"), ("answers", "answers")]
    columns += [
        (f"{source}_{provenance}_mj_per_answer", f"{source}, {provenance}, mJ per answer")
        for source, provenance in kinds
    ]

    def rows() -> Iterable[list[Cell]]:
        for bucket in totals.series:
            answers = sum(bucket.routes.values())
            energies = [bucket.energy_mj.get(kind, 0.0) for kind in kinds]
            yield [
                bucket.start_ms,
                time_utc(bucket.start_ms),
                answers,
                *(energy / answers if answers else None for energy in energies),
            ]

    return table(columns, rows())


def energy_kinds(totals: Totals) -> list[tuple[str, str]]:
    """Return the sorted (source, provenance) pairs of energy, such as ("compute", "measured")."""
    in_total = {(entry.source, entry.provenance) for entry in totals.energy}
    return sorted(in_total | {kind for bucket in totals.series for kind in bucket.energy_mj})


def energy_by_route(totals: Totals) -> Table:
    """Build a table of the energy per answer by route, source and provenance.

    The provenance is how an energy is known: measured, calibrated or modelled. Each energy is
    divided by the number of the answers that reported it. Follow-ups are not answers, so their
    energy per answer is None.
    """
    columns = [
        ("route", "route"),
        ("source", "source"),
        ("provenance", "provenance"),
        ("answers", "answers"),
        ("energy_mj", "energy, mJ"),
        ("energy_mj_per_answer", "mJ per answer"),
    ]
    rows = (
        (
            entry.route,
            entry.source,
            entry.provenance,
            entry.answers,
            entry.energy_mj,
            entry.energy_mj / entry.answers if entry.answers else None,
        )
        for entry in totals.energy
    )
    return table(columns, rows)


def latency_by_route(totals: Totals) -> Table:
    """Build a table of the latency percentiles by route."""
    columns = [
        ("route", "route"),
        ("answers", "answers"),
        ("fallbacks", "fallbacks"),
        ("latency_p50_ms", "median, ms"),
        ("latency_p95_ms", "95th percentile, ms"),
        ("latency_p99_ms", "99th percentile, ms"),
        ("latency_provenance", "provenance"),
    ]
    rows = (
        (
            figures.route,
            figures.answers,
            figures.fallbacks,
            figures.latency_p50_ms,
            figures.latency_p95_ms,
            figures.latency_p99_ms,
            figures.latency_provenance,
        )
        for figures in totals.routes
    )
    return table(columns, rows)


def bundles(view: FleetView) -> Table:
    """Build a table that counts devices by the bundle version that they last reported."""
    columns = [("bundle_version", "bundle"), ("devices", "devices")]
    return table(
        columns, sorted((name or "unknown", count) for name, count in view.bundles.items())
    )


def savings(totals: Totals) -> Table:
    """Build a table that compares the energy spent with the cost of offloading every input.

    There is one row for each provenance of energy (measured, calibrated or modelled). The cost
    consists of energy and bytes, each summed over the answers that reported the cost.
    """
    columns = [
        ("provenance", "provenance"),
        ("spent_mj", "spent, mJ"),
        ("cloud_only_mj", "cloud-only, mJ"),
        ("cloud_only_answers", "answers with a known cloud-only cost"),
        ("cloud_only_bytes", "cloud-only, bytes"),
    ]
    spent = spent_by_provenance(totals)
    only = {entry.provenance: entry for entry in totals.cloud_only}
    rows = (
        (
            provenance,
            spent.get(provenance, 0.0),
            only[provenance].energy_mj if provenance in only else None,
            only[provenance].answers if provenance in only else 0,
            only[provenance].size_bytes if provenance in only else None,
        )
        for provenance in sorted({*spent, *only})
    )
    return table(columns, rows)


def cloud_share(totals: Totals) -> float | None:
    """Return the share (0 to 1) of answers that came from the cloud; None if there are none."""
    if not totals.answers:
        return None
    by_cloud = sum(entry.answers for entry in totals.routes if entry.route == CLOUD)
    return by_cloud / totals.answers


def answers_per_second(totals: Totals) -> float | None:
    """Return the number of answers per second in the last complete step.

    The result is None if no step is complete.
    """
    if len(totals.series) < 2:
        return None
    return sum(totals.series[-2].routes.values()) / totals.step_ms * 1000


def answers(points: Iterable[AnswerPoint]) -> Table:
    """Build a table of a device's latest answers and follow-ups, with one row for each."""
    columns = [
        ("answered_at_ms", ""),
        ("answered_utc", "answered, UTC"),
        ("input_index", "input"),
        ("route", "route"),
        ("reason", "reason"),
        ("answer", "answer"),
        ("follow_up", "follow-up"),
        ("follows", ""),
        ("device_confidence", "device's confidence"),
        ("resident_capacity", "resident capacity"),
        ("latency_ms", "latency, ms"),
        ("energy_compute_mj", "compute, mJ"),
        ("energy_radio_mj", "radio, mJ"),
        ("energy_provenance", "provenance"),
        ("budget_memory_bytes", "memory budget, B"),
        ("budget_energy_mj", "energy budget, mJ"),
        ("budget_battery", "battery"),
        ("budget_link_mbit_s", "link, Mbit/s"),
        ("budget_offload_share", "active target share"),
    ]
    keys = [key for key, _ in columns if key != "answered_utc"]

    def row(point: AnswerPoint) -> list[Cell]:
        values = [getattr(point, key) for key in keys]
        return [values[0], time_utc(point.answered_at_ms), *values[1:]]

    return table(columns, map(row, points))


def budget_by_time(points: Iterable[AnswerPoint]) -> Table:
    """Build a table of a device's budget and resident capacity at each answer.

    Follow-ups are left out. The budget is what the device was allowed to spend at that time. The
    resident capacity is the largest capacity in memory.
    """
    columns = [
        ("answered_at_ms", ""),
        ("answered_utc", "answered, UTC"),
        ("resident_capacity", "resident capacity"),
        ("budget_memory_kb", "memory, kB"),
        ("budget_energy_mj", "energy, mJ per answer"),
        ("budget_battery", "battery, %"),
        ("budget_link_mbit_s", "link, Mbit/s"),
        ("budget_offload_share", "offload share, %"),
    ]
    rows = (
        (
            point.answered_at_ms,
            time_utc(point.answered_at_ms),
            point.resident_capacity,
            point.budget_memory_bytes / 1000,
            point.budget_energy_mj,
            100 * point.budget_battery,
            point.budget_link_mbit_s,
            100 * point.budget_offload_share,
        )
        for point in points
        if point.follows is None
    )
    return table(columns, rows)
