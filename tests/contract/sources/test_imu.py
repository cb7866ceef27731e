"""An inertial sensor as a source."""

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from nestling_device.sources.imu import Imu
from nestling_device.sources.source import SourceError, Windows
from tests.support.processes import until
from tests.support.simulated_bus import SimulatedBus
from tests.support.source_contract import PATIENCE_S, SHAPE, Fed, SourceContract


def imu_bus(readings: Callable[[], bytes]) -> SimulatedBus:
    bus = SimulatedBus(0x68, {0x75: b"\x68"})
    bus.live[0x3B] = readings
    return bus


def imu(bus: SimulatedBus, **changes: Any) -> Imu:
    options: dict[str, Any] = {
        "address": 0x68,
        "rate_hz": 500.0,
        "length": 3,
        "channels": ["ax", "wz"],
        "units": ["m/s^2", "rad/s"],
    }
    return Imu(bus, **{**options, **changes})


class FedImu:
    """A sensor that samples only after `feed`, with the number fed last in every sample."""

    shape = SHAPE

    def __init__(self) -> None:
        self.go = threading.Semaphore(0)
        self.counts = 0
        self.bus = imu_bus(self._reading)
        self.source = imu(self.bus)

    def _reading(self) -> bytes:
        # At the end the semaphore is released many times, so that the thread can end.
        assert self.go.acquire(timeout=PATIENCE_S)
        words = [self.counts * 2048, 0, 0, -1234, 0, 0, self.counts * 164]
        return b"".join(word.to_bytes(2, "big", signed=True) for word in words)

    def feed(self, number: int) -> Windows:
        self.counts = number
        self.go.release(3)
        wanted = [[9.80665 * number] * 3, [np.pi / 18 * number] * 3]
        return np.array(wanted, np.float32)


class TestImu(SourceContract):
    @pytest.fixture
    def fed(self) -> Iterator[FedImu]:
        fed = FedImu()
        yield fed
        fed.go.release(10_000)
        fed.source.close()

    def test_closing_twice_is_no_error(self, fed: Fed) -> None:
        assert isinstance(fed, FedImu)
        fed.go.release(10_000)
        super().test_closing_twice_is_no_error(fed)
        assert fed.bus.closed

    def test_sensor_is_woken_and_set_to_16_g_and_2000_degrees_per_second(self, fed: FedImu) -> None:
        assert fed.bus.written == [(0x6B, b"\x01"), (0x19, b"\x00\x03\x18\x18")]


def test_failed_reading_restarts_the_window() -> None:
    calls = itertools.count()

    def reading() -> bytes:
        if next(calls) == 2:
            raise OSError(121, "Remote I/O error")
        return bytes(14)

    source = imu(imu_bus(reading), rate_hz=500.0)
    assert source.take(PATIENCE_S) is not None
    source.close()
    assert next(calls) >= 6  # two before the fault, and three for a whole window after it


def test_sensor_is_configured_again_after_a_failed_reading() -> None:
    calls = itertools.count()

    def reading() -> bytes:
        if next(calls) == 2:
            raise OSError(121, "Remote I/O error")
        return bytes(14)

    bus = imu_bus(reading)
    source = imu(bus)
    assert source.take(PATIENCE_S) is not None
    source.close()

    assert bus.written == [(0x6B, b"\x01"), (0x19, b"\x00\x03\x18\x18")] * 2


def test_short_reading_counts_as_a_failed_reading() -> None:
    class ShortBus(SimulatedBus):
        short = True

        def read_i2c_block_data(self, i2c_addr: int, register: int, length: int) -> list[int]:
            data = super().read_i2c_block_data(i2c_addr, register, length)
            if register == 0x3B and self.short:
                self.short = False
                return data[:9]
            return data

    bus = ShortBus(0x68, {0x75: b"\x68", 0x3B: bytes(14)})
    source = imu(bus)

    assert source.take(PATIENCE_S) is not None
    source.close()


def test_error_in_the_sampling_thread_ends_the_source() -> None:
    def reading() -> bytes:
        raise RuntimeError("nobody foresaw this")

    source = imu(imu_bus(reading))
    with pytest.raises(SourceError, match="nobody foresaw this"):
        until(lambda: source.take(0.01) is not None)
    source.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"address": 0x69}, "no answer at I2C address 0x69"),
        ({"channels": ["ax", "pressure"]}, "does not measure the task's channel 'pressure'"),
        ({"units": ["g", "g"]}, "channel 'wz' in 'g'; it measures"),
    ],
)
def test_missing_or_unsuitable_sensor_is_rejected(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        imu(imu_bus(lambda: bytes(14)), **change)


def test_another_chip_at_the_address_is_refused() -> None:
    with pytest.raises(SourceError, match="identifies itself as 0x40"):
        imu(SimulatedBus(0x68, {0x75: b"\x40"}))
