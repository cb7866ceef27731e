import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling.v1.receipt_pb2 import PROVENANCE_MEASURED
from nestling_device.energy.instruments.instrument import InstrumentError
from nestling_device.energy.sampler import FEWEST_READINGS, PowerLog, Sampler
from tests.support.processes import until


def steady(watts: float, readings: int = 11) -> PowerLog:
    """Return a log with a reading every second from 0."""
    log = PowerLog()
    for second in range(readings):
        log.add(float(second), watts)
    return log


def test_energy_is_interpolated_between_readings() -> None:
    assert steady(3.0).joules(1.25, 8.75) == pytest.approx(22.5)


def test_reading_covers_the_time_before_it() -> None:
    log = PowerLog()
    for second, watts in enumerate([9.0, 1.0, 1.0, 5.0, 1.0, 1.0, 1.0]):
        log.add(float(second), watts)

    assert log.joules(0.0, 6.0) == pytest.approx(1 + 1 + 5 + 1 + 1 + 1)
    assert log.joules(0.5, 5.5) == pytest.approx(0.5 + 1 + 5 + 1 + 1 + 0.5)


def test_energy_after_the_last_reading_uses_its_power() -> None:
    assert steady(2.0).joules(2.0, 10.5) == pytest.approx(17.0)


def test_step_with_too_few_readings_has_no_energy() -> None:
    log = steady(2.0)

    assert log.joules(2.5, 2.5 + FEWEST_READINGS - 1) is None
    assert log.joules(2.5, 2.5 + FEWEST_READINGS) is not None


def test_step_that_began_before_the_first_reading_has_no_energy() -> None:
    assert steady(2.0).joules(-0.5, 9.0) is None
    assert PowerLog().joules(0.0, 9.0) is None


def test_step_across_a_missing_reading_has_no_energy() -> None:
    log = steady(2.0)
    log.clear()
    for second in range(11, 21):
        log.add(float(second), 2.0)

    assert log.joules(5.0, 20.0) is None
    assert log.joules(11.0, 20.0) == pytest.approx(18.0)


def test_old_readings_are_dropped() -> None:
    log = PowerLog(keep_s=20.0)
    for second in range(1000):
        log.add(float(second), 2.0)

    assert len(log._at_s) <= 41
    assert log.joules(985.0, 999.0) == pytest.approx(28.0)


@given(
    watts=st.lists(st.floats(0, 100), min_size=12, max_size=40),
    cuts=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
)
def test_energies_of_adjacent_intervals_add_up(
    watts: list[float], cuts: tuple[float, float, float]
) -> None:
    log = PowerLog()
    for index, value in enumerate(watts):
        log.add(float(index), value)
    begin, middle, end = sorted(cut * (len(watts) - 1) for cut in cuts)
    whole, parts = (
        log.joules(begin, end),
        (log.joules(begin, middle), log.joules(middle, end)),
    )

    first, second = parts
    if whole is not None and first is not None and second is not None:
        assert first + second == pytest.approx(whole, abs=1e-6)


class FlakyInstrument:
    """Fails every reading while `broken` is set."""

    period_s = 0.001
    provenance = PROVENANCE_MEASURED

    def __init__(self) -> None:
        self.broken = True
        self.failures = 0
        self.closed = False

    def watts(self) -> float:
        if self.broken:
            self.failures += 1
            raise InstrumentError("unplugged")
        return 4.0

    def close(self) -> None:
        self.closed = True


def test_sampler_continues_after_failed_readings(caplog: pytest.LogCaptureFixture) -> None:
    instrument = FlakyInstrument()
    with Sampler(instrument) as sampler:
        until(lambda: instrument.failures > 0)
        instrument.broken = False
        until(lambda: bool(sampler._log._at_s))
        begun = sampler._log._at_s[0]
        until(lambda: sampler.joules(begun, begun + 0.05) is not None)

        joules = sampler.joules(begun, begun + 0.05)

    assert joules == pytest.approx(0.2)
    assert instrument.closed
    assert "unplugged" in caplog.text
