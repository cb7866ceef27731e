import threading
from pathlib import Path

import numpy as np
import pytest

from nestling.v1.receipt_pb2 import PROVENANCE_CALIBRATED
from nestling_device.energy.power_tables import Board
from nestling_device.energy.sampler import Sampler
from nestling_device.profiling.bundle import Conditions, profile, resident_bytes
from tests.support.hand_bundle import EASY, HARD, load_hand_bundle

WINDOWS = np.stack([EASY, HARD])
BOARD = Board(name="b", idle_w=1.0, busy_w=3.0, gmacs_per_s=2.0, run_overhead_ms=0.5)


class LoadInstrument:
    """Reads 5 W once `busy` is set, and 2 W before."""

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


def test_every_capacity_on_the_device_is_measured(tmp_path: Path) -> None:
    reported: list[str] = []
    bundle = load_hand_bundle(tmp_path, held=2)

    found = profile(bundle, WINDOWS, conditions(None, 0.01), reported.append)

    assert reported == ["capacity 1", "capacity 2"]
    assert (found.bundle, found.machine, found.meter) == (bundle.version, "here", "m")
    for cost in found.capacities:
        assert 0 < cost.latency_ms <= cost.latency_p95_ms
        assert cost.resident_bytes > 10_000_000
        assert cost.energy_provenance == "modelled"
        assert cost.energy_mj == pytest.approx(cost.latency_ms * 2, abs=1e-3)
    assert (found.idle_w, found.active_w) == (None, None)


def test_energy_of_a_run_is_measured_above_idle(tmp_path: Path) -> None:
    instrument = LoadInstrument()

    def report(what: str) -> None:
        if what.startswith("capacity"):
            instrument.busy.set()

    with Sampler(instrument) as sampler:
        found = profile(load_hand_bundle(tmp_path), WINDOWS, conditions(sampler, 0.2), report)

    assert found.idle_w == pytest.approx(2.0)
    assert found.active_w == pytest.approx(3.0, rel=0.1)
    for cost in found.capacities:
        assert cost.energy_provenance == "calibrated"
        # about 3 W for the time of a run
        assert cost.energy_mj >= 3.0 * cost.latency_ms * 0.5


def test_energy_is_modelled_if_the_instrument_is_too_slow(tmp_path: Path) -> None:
    instrument = LoadInstrument()
    instrument.period_s = 5.0
    with Sampler(instrument) as sampler:
        found = profile(
            load_hand_bundle(tmp_path), WINDOWS, conditions(sampler, 0.01), lambda _: None
        )

    assert (found.idle_w, found.active_w) == (None, None)
    assert {cost.energy_provenance for cost in found.capacities} == {"modelled"}


def test_energy_is_modelled_if_the_load_does_not_exceed_idle(
    tmp_path: Path,
) -> None:
    with Sampler(LoadInstrument()) as sampler:  # never busy
        found = profile(
            load_hand_bundle(tmp_path), WINDOWS, conditions(sampler, 0.1), lambda _: None
        )

    assert found.idle_w == pytest.approx(2.0)
    assert found.active_w is None
    assert {cost.energy_provenance for cost in found.capacities} == {"modelled"}
    assert all(cost.energy_mj > 0 for cost in found.capacities)


def test_resident_bytes_is_0_if_the_kernel_does_not_report_it(tmp_path: Path) -> None:
    assert resident_bytes(tmp_path / "none") == 0
