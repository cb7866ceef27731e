"""Small views of a fictional fleet, for tests of the console's pure functions."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nestling_cloud.metrics.figures import Bucket, CloudOnly, EnergyFigures, RouteFigures, Totals
from nestling_cloud.metrics.views import AnswerPoint, DeviceRow
from nestling_cloud.store.hard_inputs import HardInput
from nestling_core.kinds.kind import Answer

START_MS = 1_700_000_000_000
STEP_MS = 10_000


def totals(**changed: Any) -> Totals:
    """Return ten answers in two steps: 6 by capacity 1 and 4 by the cloud, all modelled."""
    made = Totals(
        answers=10,
        fallbacks=1,
        routes=(
            route("capacity-1", 6, fallbacks=1),
            route("cloud", 4),
        ),
        energy=(
            energy("capacity-1", "compute", 6, 12.0),
            energy("cloud", "compute", 4, 4.0),
            energy("cloud", "radio", 4, 20.0),
        ),
        cloud_only=(CloudOnly(provenance="modelled", answers=10, energy_mj=50.0, size_bytes=9000),),
        bytes_up=3000,
        bytes_down=500,
        series=(bucket(0, {"capacity-1": 6, "cloud": 2}), bucket(1, {"cloud": 2})),
        step_ms=STEP_MS,
    )
    return replace(made, **changed)


def nothing() -> Totals:
    """Return totals without answers."""
    return Totals(
        answers=0,
        fallbacks=0,
        routes=(),
        energy=(),
        cloud_only=(),
        bytes_up=0,
        bytes_down=0,
        series=(),
        step_ms=STEP_MS,
    )


def route(name: str, answers: int, *, fallbacks: int = 0) -> RouteFigures:
    """Return the figures of one route."""
    return RouteFigures(
        route=name,
        answers=answers,
        fallbacks=fallbacks,
        latency_p50_ms=2.0,
        latency_p95_ms=5.0,
        latency_p99_ms=9.0,
        latency_provenance="measured",
    )


def energy(
    name: str, source: str, answers: int, energy_mj: float, provenance: str = "modelled"
) -> EnergyFigures:
    """Return the energy of one route and source."""
    return EnergyFigures(
        route=name, source=source, provenance=provenance, answers=answers, energy_mj=energy_mj
    )


def bucket(index: int, routes: dict[str, int]) -> Bucket:
    """Return one step, with 3 mJ of compute."""
    return Bucket(
        start_ms=START_MS + index * STEP_MS,
        routes=routes,
        fallbacks=0,
        energy_mj={("compute", "modelled"): 3.0},
    )


def answer_point(**changed: Any) -> AnswerPoint:
    """Return one answer."""
    made = AnswerPoint(
        answered_at_ms=START_MS,
        input_index=7,
        route="capacity-2",
        reason="accepted",
        answer=1,
        values=(),
        device_confidence=0.75,
        resident_capacity=2,
        latency_ms=3.0,
        energy_compute_mj=1.5,
        energy_radio_mj=0.0,
        energy_provenance="modelled",
        budget_memory_bytes=40_000,
        budget_energy_mj=100.0,
        budget_battery=0.5,
        budget_link_mbit_s=5.0,
        budget_offload_share=0.2,
        follow_up="",
        follows=None,
    )
    return replace(made, **changed)


def device_row(device: str, **changed: Any) -> DeviceRow:
    """Return the last report of a device, without a tolerated risk."""
    made = DeviceRow(
        device=device,
        profile="pi-5",
        online=True,
        last_seen_ms=START_MS,
        bundle_version="hand-1-00000000",
        capacity=2,
        battery=1.0,
        outbox_depth=0,
        offload_share=0.2,
        target_share=None,
        drifting=False,
        pending=0,
        tolerated_risk=None,
        guaranteed_since_ms=None,
        inputs_to_go=None,
        guarantee_alarms=None,
        answers=10,
    )
    return replace(made, **changed)


def hard_input(shape: Sequence[int], values: "np.typing.ArrayLike | None" = None) -> HardInput:
    """Return an input of a shape; without `values` it contains 0, 1, 2, ..."""
    made = np.arange(int(np.prod(shape))) if values is None else values
    return HardInput(
        task="hand",
        device="watch",
        received_at_ms=START_MS,
        input_index=3,
        values=np.asarray(made, "<f4").tobytes(),
        shape=tuple(shape),
        device_answer=Answer(0),
        cloud_answer=Answer(1),
    )
