import threading
from pathlib import Path

import numpy as np
import pytest

from nestling.v1.receipt_pb2 import PROVENANCE_CALIBRATED
from nestling_device.energy.power_tables import Board
from nestling_device.energy.sampler import Sampler
from nestling_device.profiling.bundle import Conditions, profile, resident_bytes
from tests.support.hand_bundle import EASY, HARD, hand_parts

WINDOWS = np.stack([EASY, HARD])
BOARD = Board(name="b", idle_w=1.0, busy_w=3.0, gmacs_per_s=2.0, run_overhead_ms=0.5)


class LoadInstrument:
    """Reads 2 W until the first network runs, and 5 W from then on."""

    period_s = 0.001
    provenance = PROVENANCE_CALIBRATED

    def __init__(self) -> None:
        self.busy = threading.Event()

    def watts(self) -> float:
        return 5.0 if self.busy.is_set() else 2.0

    def close(self) -> None:
        pass


def conditions(sampler: Sampler | None, seconds: float) -> Conditions:
    return Conditions(board=BOARD, sampler=sampler, seconds=seconds, meter="m", machine="here")


def test_every_capacity_that_is_held_is_measured(tmp_path: Path) -> None:
    said: list[str] = []
    parts = hand_parts(tmp_path, held=2)

    found = profile(parts, WINDOWS, conditions(None, 0.01), said.append)

    assert said == ["capacity 1", "capacity 2"]
    assert (found.bundle, found.machine, found.meter) == (parts.version, "here", "m")
    for cost in found.capacities:
        assert 0 < cost.latency_ms <= cost.latency_p95_ms
        assert cost.resident_bytes > 10_000_000
        assert cost.energy_provenance == "modelled"
        assert cost.energy_mj == pytest.approx(cost.latency_ms * 2, abs=1e-3)
    assert (found.idle_w, found.active_w) == (None, None)


def test_energy_of_a_run_is_what_the_instrument_reads_above_idle(tmp_path: Path) -> None:
    instrument = LoadInstrument()

    def say(what: str) -> None:
        if what.startswith("capacity"):
            instrument.busy.set()

    with Sampler(instrument) as sampler:
        found = profile(hand_parts(tmp_path), WINDOWS, conditions(sampler, 0.2), say)

    assert found.idle_w == pytest.approx(2.0)
    assert found.active_w == pytest.approx(3.0, rel=0.1)
    for cost in found.capacities:
        assert cost.energy_provenance == "calibrated"
        # 3 W for at least as long as a run takes
        assert cost.energy_mj >= 3.0 * cost.latency_ms * 0.5


def test_instrument_too_slow_for_the_time_given_tells_nothing(tmp_path: Path) -> None:
    instrument = LoadInstrument()
    instrument.period_s = 5.0
    with Sampler(instrument) as sampler:
        found = profile(hand_parts(tmp_path), WINDOWS, conditions(sampler, 0.01), lambda _: None)

    assert (found.idle_w, found.active_w) == (None, None)
    assert {cost.energy_provenance for cost in found.capacities} == {"modelled"}


def test_load_that_the_instrument_cannot_tell_from_idle_is_no_run_for_nothing(
    tmp_path: Path,
) -> None:
    with Sampler(LoadInstrument()) as sampler:  # never busy
        found = profile(hand_parts(tmp_path), WINDOWS, conditions(sampler, 0.1), lambda _: None)

    assert found.idle_w == pytest.approx(2.0)
    assert found.active_w is None
    assert {cost.energy_provenance for cost in found.capacities} == {"modelled"}
    assert all(cost.energy_mj > 0 for cost in found.capacities)


def test_kernel_that_does_not_tell_memory_is_no_error(tmp_path: Path) -> None:
    assert resident_bytes(tmp_path / "none") == 0
