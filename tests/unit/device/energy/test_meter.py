import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling.v1.budget_pb2 import Budget
from nestling.v1.receipt_pb2 import (
    PROVENANCE_CALIBRATED,
    PROVENANCE_MEASURED,
    PROVENANCE_MODELLED,
)
from nestling_device.energy.meter import CalibratedMeter, ClockMeter, Powers, ProfileMeter, StepCost
from nestling_device.energy.power_tables import Board, Link, load_board, load_link, profile_names
from nestling_device.energy.sampler import Sampler
from tests.support.processes import until

BOARD = Board(name="b", idle_w=1.0, busy_w=3.0, gmacs_per_s=2.0, run_overhead_ms=0.5)
LINK = Link(name="l", base_w=1.5, w_per_mbit_s=0.5, tail_mj=7.0, mbit_s=4.0, rtt_ms=10.0)
BUDGET = Budget(link_mbit_s=4.0, link_rtt_ms=10.0)


POWERS = Powers(idle_w=2.0, active_w=1.5)


def calibrated(board: Board, link: Link) -> ProfileMeter:
    return CalibratedMeter(board=board, link=link, powers=POWERS)


@pytest.fixture(params=[ProfileMeter, ClockMeter, calibrated])
def meter(request: pytest.FixtureRequest) -> ProfileMeter:
    meter: ProfileMeter = request.param(BOARD, LINK)
    return meter


class SteadyInstrument:
    """Reads the same power every time."""

    period_s = 0.001
    provenance = PROVENANCE_MEASURED

    def __init__(self, watts: float) -> None:
        self._watts = watts

    def watts(self) -> float:
        return self._watts

    def close(self) -> None:
        pass


def test_estimate_uses_speed_and_power_of_the_board(meter: ProfileMeter) -> None:
    spent = meter.estimate(6_000_000)

    assert spent.latency_ms == pytest.approx(0.5 + 3.0)  # 6 million at 2 per nanosecond
    assert spent.energy_mj == pytest.approx(3.5 * 2.0)  # busy minus idle


def test_radio_energy_is_that_of_the_air_time_plus_the_tail(meter: ProfileMeter) -> None:
    # 1000 bytes at 4 Mbit/s are 2 ms in the air at 1.5 W + 4 x 0.5 W.
    assert meter.radio_mj(1000, BUDGET) == pytest.approx(2 * 3.5 + 7)


def test_empty_transfer_costs_nothing_not_even_the_tail(meter: ProfileMeter) -> None:
    assert meter.radio_mj(0, BUDGET) == 0
    assert meter.radio_mj(1000, Budget(link_mbit_s=0)) == 0


def test_profile_meter_ignores_measured_times() -> None:
    meter = ProfileMeter(BOARD, LINK)

    assert meter.compute(1000, 1.0) == meter.compute(1000, 99.0) == meter.estimate(1000)
    assert meter.radio(1000, BUDGET, 1.0) == meter.radio(1000, BUDGET, 99.0)
    assert meter.radio(1000, BUDGET, 1.0).latency_ms == pytest.approx(10 + 2)
    assert meter.latency_provenance == meter.energy_provenance == PROVENANCE_MODELLED


def test_clock_meter_models_energy_from_the_measured_time() -> None:
    meter = ClockMeter(BOARD, LINK)

    assert meter.compute(1000, 4.0).latency_ms == 4.0
    assert meter.compute(1000, 4.0).energy_mj == pytest.approx(8.0)
    assert meter.radio(1000, BUDGET, 33.0).latency_ms == 33.0
    assert meter.radio(1000, BUDGET, 33.0).energy_mj == pytest.approx(14.0)
    assert meter.latency_provenance == PROVENANCE_MEASURED
    assert meter.energy_provenance == PROVENANCE_MODELLED


def test_energy_of_a_step_too_short_for_the_instrument_is_calibrated() -> None:
    with Sampler(SteadyInstrument(5.0)) as sampler:
        meter = CalibratedMeter(board=BOARD, link=LINK, powers=POWERS, sampler=sampler)
        until(lambda: sampler.joules(time.monotonic() - 0.02, time.monotonic()) is not None)

        spent = meter.compute(1000, 0.001)

    assert spent.energy_provenance == PROVENANCE_CALIBRATED
    assert spent.energy_mj == pytest.approx(0.0015)  # 1 us at 1.5 W


def test_energy_of_a_long_step_is_measured_above_idle() -> None:
    with Sampler(SteadyInstrument(5.0)) as sampler:
        begun = time.monotonic()
        until(lambda: sampler.joules(begun + 0.005, time.monotonic()) is not None)
        ended = time.monotonic()
        meter = CalibratedMeter(
            board=BOARD, link=LINK, powers=POWERS, sampler=sampler, clock=lambda: ended
        )
        wall_ms = (ended - begun - 0.005) * 1e3

        spent = meter.compute(1000, wall_ms)

    assert spent.energy_provenance == PROVENANCE_MEASURED
    assert spent.latency_ms == pytest.approx(wall_ms)
    assert spent.energy_mj == pytest.approx(wall_ms * 3.0)  # 5 W minus 2 W


def test_energy_without_an_instrument_is_calibrated() -> None:
    spent = calibrated(BOARD, LINK).compute(1000, 4.0)

    assert spent == StepCost(latency_ms=4.0, energy_mj=6.0, energy_provenance=PROVENANCE_CALIBRATED)


def test_radio_energy_stays_modelled_with_a_calibrated_meter() -> None:
    meter = calibrated(BOARD, LINK)

    assert meter.radio(1000, BUDGET, 33.0).energy_provenance == PROVENANCE_MODELLED
    assert meter.energy_provenance == PROVENANCE_MODELLED


@given(
    board=st.sampled_from(profile_names("boards")),
    link=st.sampled_from(profile_names("links")),
    sizes=st.tuples(st.integers(0, 10**7), st.integers(0, 10**7)),
)
def test_more_work_never_costs_less(board: str, link: str, sizes: tuple[int, int]) -> None:
    meter = ProfileMeter(load_board(board), load_link(link))
    less, more = sorted(sizes)
    budget = Budget(link_mbit_s=meter.link.mbit_s)

    assert meter.estimate(less).energy_mj <= meter.estimate(more).energy_mj
    assert meter.radio_mj(less, budget) <= meter.radio_mj(more, budget)
    assert math.isfinite(meter.estimate(more).energy_mj + meter.radio_mj(more, budget))
