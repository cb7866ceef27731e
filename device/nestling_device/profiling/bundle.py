"""Measures the time, energy and memory of each capacity of the installed bundle."""

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

# Reports progress: called with the name of what is being measured.
Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The machine, the instrument and the duration of a measurement.

    Attributes:
        board: the power and speed of the board. The energy is modelled from them if there are no
            usable readings.
        sampler: the sampler that reads an instrument, or None if there is no instrument.
        seconds: the time, in seconds, for which each network runs after its warm-up. With an
            instrument, the idle power is first measured for the same time.
        meter: the kind of meter, as in the configuration.
        machine: the name of this machine.
    """

    board: Board
    sampler: Sampler | None
    seconds: float
    meter: str
    machine: str


@dataclass(frozen=True, kw_only=True)
class Run:
    """The measurements of repeated runs of one network.

    Attributes:
        times_ms: the times of individual runs, in milliseconds, float64 (n,). At most 5000 evenly
            spaced runs are kept from each uninterrupted series.
        runs: the number of runs that `wall_s` and `joules` cover.
        wall_s: the total time of these runs, in seconds.
        joules: the energy of the machine during these runs, in joules, or None if there is no
            instrument or there are too few readings.
        resident_bytes: the resident memory of the process.
    """

    times_ms: NDArray[np.float64]
    runs: int
    wall_s: float
    joules: float | None
    resident_bytes: int


def metered(stretch: TimedRuns, sampler: Sampler | None) -> Run:
    """Return timed runs together with their energy and the memory of the process.

    Call this right after the runs, because it reads the memory now and the sampler keeps its
    readings only for a limited time.

    Args:
        stretch: the timed runs.
        sampler: the sampler that reads an instrument, or None if there is no instrument.
    """
    begun, ended = stretch.begun_s, stretch.ended_s
    return Run(
        times_ms=stretch.times_ms[:: len(stretch.times_ms) // _KEPT_TIMES + 1],
        runs=len(stretch.times_ms),
        wall_s=ended - begun,
        joules=None if sampler is None else sampler.joules(begun, ended),
        resident_bytes=resident_bytes(),
    )


def profile(
    bundle: LoadedBundle, windows: Windows, conditions: Conditions, report: Report
) -> MeasuredCosts:
    """Return the measured costs of all capacities on the device.

    The capacities are loaded and measured one after the other. The runs include the layers of the
    multiplexer.

    Args:
        bundle: the installed bundle.
        windows: the inputs to run the capacities on, float32 (N, *shape). After the last input, the
            first one is used again.
        conditions: the machine, the instrument and the duration of the measurement.
        report: a function that is called with a description of each measurement before it begins.

    Raises:
        DeliveryError: a ring (the weights that a capacity adds) or a template (a capacity's graph)
            is missing or damaged.
    """
    idle_w = idle_watts(conditions, report)
    capacities: list[Run] = []
    for capacity in range(1, bundle.held + 1):
        report(f"capacity {capacity}")
        bundle.nest.load(capacity)
        capacities.append(_run(lambda w: bundle.nest.run(w[None]), windows, conditions))
    return MeasuredCosts(
        bundle=bundle.version,
        machine=conditions.machine,
        taken_at=datetime.now(UTC).isoformat(timespec="seconds"),
        meter=conditions.meter,
        idle_w=idle_w,
        active_w=active_watts(capacities, idle_w),
        capacities=tuple(cost_of(run, idle_w, conditions) for run in capacities),
    )


def idle_watts(conditions: Conditions, report: Report) -> float | None:
    """Return the measured mean power of the whole machine while no network runs.

    The measurement takes `conditions.seconds`, after a pause of at most one second.

    Args:
        conditions: the machine, the instrument and the duration of the measurement.
        report: a function that is called with a description of each measurement before it begins.

    Returns:
        The power in watts, or None if there is no instrument or there are too few readings.
    """
    if conditions.sampler is None:
        return None
    report("idle power")
    # Wait for the first reading, which has to come before the interval.
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
    """Return the cost of one run, computed from repeated runs of a network.

    The energy is the mean energy of a run above the idle energy, from the readings of the
    instrument. If the readings or the idle power are missing, or if the mean is not positive, the
    energy is modelled from the median time.

    Args:
        run: the measurements of the network.
        idle_w: the power of the machine while no network runs, in watts, or None if it is not
            known.
        conditions: the machine, the instrument and the duration of the measurement.
    """
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
    if energy_mj <= 0:  # below the noise of the board's other load; the modelled energy is better
        return cost
    provenance = provenance_name(conditions.sampler.provenance)
    return replace(cost, energy_mj=energy_mj, energy_provenance=provenance)


def active_watts(runs: Sequence[Run], idle_w: float | None) -> float | None:
    """Return the mean power that running networks added to the idle power.

    The mean is taken over the time of all runs that have readings.

    Args:
        runs: the measurements of the networks.
        idle_w: the power of the machine while no network runs, in watts, or None if it is not
            known.

    Returns:
        The power in watts, or None if the readings or the idle power are missing, or if the power
        is not positive.
    """
    metered_runs = [(run.joules, run.wall_s) for run in runs if run.joules is not None]
    if not metered_runs or idle_w is None:
        return None
    joules = sum(energy for energy, _ in metered_runs)
    wall_s = sum(seconds for _, seconds in metered_runs)
    active_w = round(joules / wall_s - idle_w, 6)
    return active_w if active_w > 0 else None


def resident_bytes(status: Path = _STATUS) -> int:
    """Return the resident memory of this process in bytes, or 0 if it cannot be determined.

    Args:
        status: the file in which the kernel reports the status of the process.
    """
    try:
        lines = status.read_text("ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)
