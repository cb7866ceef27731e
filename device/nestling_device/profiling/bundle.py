"""Measures what a network takes on this machine, and every one of the installed bundle."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nestling.v1.receipt_pb2 import PROVENANCE_MODELLED
from nestling_core.execution.timing import TimedRuns, run_for
from nestling_device.bundle.loaded_bundle import LoadedBundle
from nestling_device.energy.measured_costs import MeasuredCosts, NetworkCost, provenance_name
from nestling_device.energy.power_tables import Board
from nestling_device.energy.sampler import Sampler
from nestling_device.sources.source import Windows

_STATUS = Path("/proc/self/status")
_KEPT_TIMES = 5000

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """How networks are measured.

    Attributes:
        board: whose powers energy is modelled from without an instrument.
        sampler: reads an instrument, if there is one.
        seconds: how long each network runs, and how long the machine is left idle before.
        meter: kind of the meter.
        machine: where this is.
    """

    board: Board
    sampler: Sampler | None
    seconds: float
    meter: str
    machine: str


@dataclass(frozen=True, kw_only=True)
class Run:
    """One network run over and over.

    Attributes:
        times_ms: of single runs; of a long stretch evenly chosen ones, (at most 5000,).
        runs: number of all.
        wall_s: of all of them together.
        joules: of the whole machine meanwhile, None where no instrument tells.
        resident_bytes: memory of the process.
    """

    times_ms: NDArray[np.float64]
    runs: int
    wall_s: float
    joules: float | None
    resident_bytes: int


def metered(stretch: TimedRuns, sampler: Sampler | None) -> Run:
    """What a stretch that has just ended took; an instrument's readings are soon forgotten."""
    begun, ended = stretch.begun_s, stretch.ended_s
    return Run(
        times_ms=stretch.times_ms[:: len(stretch.times_ms) // _KEPT_TIMES + 1],
        runs=len(stretch.times_ms),
        wall_s=ended - begun,
        joules=None if sampler is None else sampler.joules(begun, ended),
        resident_bytes=resident_bytes(),
    )


def profile(
    parts: LoadedBundle, windows: Windows, conditions: Conditions, say: Say
) -> MeasuredCosts:
    """Run capacities 1 to the largest held, the multiplexer's layers in each.

    Args:
        parts: the installed bundle.
        windows: inputs to run them on, (N, *shape).
        conditions: of the measurement.
        say: told what is being measured.

    Raises:
        DeliveryError: a ring is damaged.
    """
    idle_w = idle_watts(conditions, say)
    capacities: list[Run] = []
    for capacity in range(1, parts.held + 1):
        say(f"capacity {capacity}")
        parts.nest.load(capacity)
        capacities.append(_run(lambda w: parts.nest.run(w[None]), windows, conditions))
    return MeasuredCosts(
        bundle=parts.version,
        machine=conditions.machine,
        taken_at=datetime.now(UTC).isoformat(timespec="seconds"),
        meter=conditions.meter,
        idle_w=idle_w,
        active_w=active_watts(capacities, idle_w),
        capacities=tuple(cost_of(run, idle_w, conditions) for run in capacities),
    )


def idle_watts(conditions: Conditions, say: Say) -> float | None:
    """Mean power while nothing runs, None without an instrument or with too few readings."""
    if conditions.sampler is None:
        return None
    say("idle power")
    # The first reading has to be in before the interval begins.
    pause = threading.Event()
    pause.wait(min(1.0, conditions.seconds))
    begun = time.monotonic()
    pause.wait(conditions.seconds)
    ended = time.monotonic()
    joules = conditions.sampler.joules(begun, ended)
    return None if joules is None else joules / (ended - begun)


def _run(network: Callable[[Windows], object], windows: Windows, conditions: Conditions) -> Run:
    stretch = run_for(lambda number: network(windows[number % len(windows)]), conditions.seconds)
    return metered(stretch, conditions.sampler)


def cost_of(run: Run, idle_w: float | None, conditions: Conditions) -> NetworkCost:
    """Sum a run up; `idle_w` is the power while nothing ran, None where it is not known."""
    median, p95 = np.percentile(run.times_ms, [50, 95])
    cost = NetworkCost(
        latency_ms=round(float(median), 4),
        latency_p95_ms=round(float(p95), 4),
        resident_bytes=run.resident_bytes,
        energy_mj=round(conditions.board.compute_mj(float(median)), 4),
        energy_provenance=provenance_name(PROVENANCE_MODELLED),
    )
    if idle_w is None or run.joules is None or conditions.sampler is None:
        return cost
    above_idle = run.joules - idle_w * run.wall_s
    energy_mj = round(above_idle * 1e3 / run.runs, 6)
    if energy_mj <= 0:  # lost in what else the board does: that is no run for nothing
        return cost
    provenance = provenance_name(conditions.sampler.provenance)
    return replace(cost, energy_mj=energy_mj, energy_provenance=provenance)


def active_watts(runs: Sequence[Run], idle_w: float | None) -> float | None:
    """Power that running networks adds, over all of them; None where it cannot be told."""
    told = [(run.joules, run.wall_s) for run in runs if run.joules is not None]
    if not told or idle_w is None:
        return None
    joules, wall_s = sum(energy for energy, _ in told), sum(seconds for _, seconds in told)
    active_w = round(joules / wall_s - idle_w, 6)
    return active_w if active_w > 0 else None


def resident_bytes(status: Path = _STATUS) -> int:
    """Memory that this process holds, 0 where the kernel does not say."""
    try:
        lines = status.read_text("ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)
