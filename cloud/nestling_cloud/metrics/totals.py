"""Computes the figures that the console and the API show from the sums in the store.

All functions are pure.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from nestling_cloud.metrics.figures import Bucket, CloudOnly, EnergyFigures, RouteFigures, Totals
from nestling_cloud.metrics.steps import Steps
from nestling_cloud.store import histogram
from nestling_cloud.store.receipt_row import NO_PROVENANCE
from nestling_cloud.store.tally import FOLLOW_UP, Kind, Tally

# Sums of one kind of receipts in one step of a rollup: start of the step, kind, sums.
Sums = tuple[int, Kind, Tally]


def totals(sums: Iterable[Sums], steps: Steps) -> Totals:
    """Compute the figures of a time range.

    Args:
        sums: the sums over the receipts of one kind in one step of a rollup (a table of sums over
            steps of time), each with the start of the step and the kind. The entries may be in any
            order, and entries with the same start and kind are added up.
        steps: the steps of the series.
    """
    by_kind: dict[Kind, Tally] = defaultdict(Tally)
    by_step: dict[int, dict[Kind, Tally]] = defaultdict(lambda: defaultdict(Tally))
    for start_ms, kind, figures in sums:
        by_kind[kind].add(figures)
        by_step[start_ms - start_ms % steps.step_ms][kind].add(figures)
    total = _all(by_kind.values())
    starts = range(steps.range.since_ms, steps.range.until_ms, steps.step_ms)
    return Totals(
        answers=total.answers,
        fallbacks=_fallbacks(by_kind),
        routes=_routes(by_kind),
        energy=_energy(by_kind),
        cloud_only=_cloud_only(by_kind),
        bytes_up=total.bytes_up,
        bytes_down=total.bytes_down,
        series=tuple(_bucket(start_ms, by_step.get(start_ms, {})) for start_ms in starts),
        step_ms=steps.step_ms,
        estimated_answers=total.estimated_answers,
        expected_right=total.expected_right,
        audited=total.audited,
        agreeing=total.agreeing,
        deferred=total.deferred,
        revised=total.revised,
        changed=total.changed,
        expired=total.expired,
    )


def _all(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for figures in tallies:
        total.add(figures)
    return total


def _fallbacks(by_kind: Mapping[Kind, Tally]) -> int:
    return sum(figures.answers for kind, figures in by_kind.items() if kind.fallback)


def _answers(by_kind: Mapping[Kind, Tally]) -> dict[str, int]:
    answers: dict[str, int] = defaultdict(int)
    for kind, figures in by_kind.items():
        if kind.route != FOLLOW_UP:
            answers[kind.route] += figures.answers
    return {route: answers[route] for route in sorted(answers, key=_order)}


def _order(route: str) -> tuple[bool, int, str]:
    """Return the key that sorts capacities in ascending order, then the cloud and follow-ups."""
    return route in {"cloud", FOLLOW_UP}, len(route), route


def _routes(by_kind: Mapping[Kind, Tally]) -> tuple[RouteFigures, ...]:
    return tuple(
        _route(route, {kind: figures for kind, figures in by_kind.items() if kind.route == route})
        for route in _answers(by_kind)
    )


def _route(route: str, by_kind: Mapping[Kind, Tally]) -> RouteFigures:
    latencies = histogram.merge(figures.latencies for figures in by_kind.values())
    return RouteFigures(
        route=route,
        answers=sum(figures.answers for figures in by_kind.values()),
        fallbacks=_fallbacks(by_kind),
        latency_p50_ms=histogram.percentile(latencies, 0.50),
        latency_p95_ms=histogram.percentile(latencies, 0.95),
        latency_p99_ms=histogram.percentile(latencies, 0.99),
        latency_provenance=", ".join(sorted({kind.latency_provenance for kind in by_kind})),
    )


def _sources(kind: Kind, figures: Tally) -> Iterable[tuple[str, str, float]]:
    """Yield the source, provenance and sum (in mJ) of each energy that the receipts report."""
    if kind.compute_provenance != NO_PROVENANCE:
        yield "compute", kind.compute_provenance, figures.energy_compute_mj
    if kind.radio_provenance != NO_PROVENANCE:
        yield "radio", kind.radio_provenance, figures.energy_radio_mj


def _energy(by_kind: Mapping[Kind, Tally]) -> tuple[EnergyFigures, ...]:
    energy: dict[tuple[str, str, str], float] = defaultdict(float)
    answers: dict[tuple[str, str, str], int] = defaultdict(int)
    for kind, figures in by_kind.items():
        for source, provenance, energy_mj in _sources(kind, figures):
            energy[kind.route, source, provenance] += energy_mj
            answers[kind.route, source, provenance] += figures.answers
    return tuple(
        EnergyFigures(
            route=key[0],
            source=key[1],
            provenance=key[2],
            answers=answers[key],
            energy_mj=energy[key],
        )
        for key in sorted(energy, key=lambda key: (_order(key[0]), key[1], key[2]))
    )


def _cloud_only(by_kind: Mapping[Kind, Tally]) -> tuple[CloudOnly, ...]:
    offloads: dict[str, Tally] = defaultdict(Tally)
    for kind, figures in by_kind.items():
        if kind.offload_provenance != NO_PROVENANCE:
            offloads[kind.offload_provenance].add(figures)
    return tuple(
        CloudOnly(
            provenance=provenance,
            answers=figures.answers,
            energy_mj=figures.offload_energy_mj,
            size_bytes=figures.offload_bytes,
        )
        for provenance, figures in sorted(offloads.items())
    )


def _bucket(start_ms: int, by_kind: Mapping[Kind, Tally]) -> Bucket:
    energy: dict[tuple[str, str], float] = defaultdict(float)
    for kind, figures in by_kind.items():
        for source, provenance, energy_mj in _sources(kind, figures):
            energy[source, provenance] += energy_mj
    return Bucket(
        start_ms=start_ms,
        routes=_answers(by_kind),
        fallbacks=_fallbacks(by_kind),
        energy_mj=dict(sorted(energy.items())),
    )
