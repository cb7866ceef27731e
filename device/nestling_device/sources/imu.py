"""Reads windows of acceleration and angular velocity from an MPU-6050, an I2C inertial sensor.

The sensor is sampled at a fixed rate. Registers and scales are those of InvenSense's register map
RM-MPU-6000A-00 rev. 4.2.
"""

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Sequence

import numpy as np

from nestling_device.hardware.i2c import Bus
from nestling_device.sources.source import Input, Origin, SourceError, Windows

_log = logging.getLogger(__name__)

_SAMPLE_RATE_DIVIDER = 0x19  # followed by CONFIG, GYRO_CONFIG, ACCEL_CONFIG
_ACCELERATION = 0x3B  # 3 accelerations, a temperature, 3 angular velocities: big-endian int16 each
_POWER = 0x6B
_WHO_AM_I = 0x75
_IDENTITY = 0x68  # the same at both addresses
_WAKE_ON_GYRO_CLOCK = 0x01
_LOW_PASS_44_HZ = 0x03
_GYRO_2000_DEG_S = 0x18
_ACCEL_16_G = 0x18
_READING_BYTES = 14
_G_PER_COUNT = 1 / 2048
_DEG_S_PER_COUNT = 1 / 16.4

# Channel names, in the order of the sensor's registers.
AXES = ("ax", "ay", "az", "wx", "wy", "wz")
_PER_G = {"g": 1.0, "m/s^2": 9.80665}
_PER_DEG_S = {"deg/s": 1.0, "rad/s": np.pi / 180}
_QUEUE_LIMIT = 4
_RETRY_S = 1.0


class Imu:
    """A source of windows of acceleration and angular velocity.

    A separate thread samples the sensor, so that slow answers leave no gap within a window. Up to
    four windows wait for an answer; further ones are dropped.
    """

    live = True

    def __init__(
        self,
        bus: Bus,
        *,
        address: int,
        rate_hz: float,
        length: int,
        channels: Sequence[str],
        units: Sequence[str],
    ) -> None:
        """Wake the sensor and start sampling.

        Args:
            bus: the I2C bus of the sensor, which the source closes.
            address: the sensor's I2C address: 0x68, or 0x69 if its AD0 pin is high.
            rate_hz: the number of samples per second.
            length: the number of samples in a window.
            channels: the names of the task's channels, in order. Each is one of `AXES`.
            units: the unit of each channel, in the same order: g or m/s^2 for an acceleration,
                deg/s or rad/s for an angular velocity.

        Raises:
            SourceError: no MPU-6050 answers at the address, or it does not measure a channel in
                the unit given for it.
        """
        self._bus = bus
        self._address = address
        self._period_s = 1 / rate_hz
        self._length = length
        self._columns, self._scale = _conversion(channels, units)
        self._windows: queue.Queue[Windows] = queue.Queue(_QUEUE_LIMIT)
        self._stop = threading.Event()
        find_imu(bus, address)
        self._wake()
        self._thread = threading.Thread(target=self._run_and_keep_fault, name="imu")
        self._fault: Exception | None = None  # the error that ended the thread
        self._thread.start()

    def take(self, timeout_s: float) -> Input | None:
        """Wait for the next window and return it, or None if none comes in time.

        The window has the shape (channels, length).

        Raises:
            SourceError: the sampling thread ended with an error.
        """
        if self._fault is not None:
            raise SourceError(f"sampling of the IMU ended: {self._fault}") from self._fault
        try:
            return Input(window=self._windows.get(timeout=timeout_s))
        except queue.Empty:
            return None

    def settle(self, line: str) -> None:
        """Do nothing, because no producer waits for the answer."""

    def revise(self, line: str, origin: Origin) -> None:
        """Do nothing, because no producer waits for the answer."""

    def refuse(self, reason: str) -> None:
        """Do nothing, because no producer waits for the answer."""

    def close(self) -> None:
        """Stop the thread and close the bus."""
        self._stop.set()
        self._thread.join()
        self._bus.close()

    def _wake(self) -> None:
        self._bus.write_i2c_block_data(self._address, _POWER, [_WAKE_ON_GYRO_CLOCK])
        settings = [0, _LOW_PASS_44_HZ, _GYRO_2000_DEG_S, _ACCEL_16_G]
        self._bus.write_i2c_block_data(self._address, _SAMPLE_RATE_DIVIDER, settings)

    def _run_and_keep_fault(self) -> None:
        try:
            self._run()
        except Exception as err:  # noqa: BLE001  `take` raises it, in the thread that answers
            self._fault = err

    def _run(self) -> None:
        samples: deque[list[int]] = deque()
        due_s = time.monotonic()
        silent = False
        while not self._stop.wait(max(0.0, due_s - time.monotonic())):
            try:
                if silent:  # after a power loss the sensor sleeps and has lost its settings
                    self._wake()
                    silent = False
                samples.append(self._read())
            except OSError as err:
                _log.warning("the IMU does not answer: %s; the current window is restarted", err)
                samples.clear()
                silent = True
                self._stop.wait(_RETRY_S)
                due_s = time.monotonic()
                continue
            if len(samples) == self._length:
                self._put(np.array(samples, np.float32))
                samples.clear()
            due_s += self._period_s

    def _read(self) -> list[int]:
        data = bytes(self._bus.read_i2c_block_data(self._address, _ACCELERATION, _READING_BYTES))
        if len(data) != _READING_BYTES:
            raise OSError(f"a reading of {len(data)} bytes instead of {_READING_BYTES}")
        words = np.frombuffer(data, ">i2")
        return [*words[:3].tolist(), *words[4:].tolist()]  # word 3 is the temperature

    def _put(self, samples: Windows) -> None:
        window = np.ascontiguousarray(samples[:, self._columns].T * self._scale[:, None])
        try:
            self._windows.put_nowait(window.astype(np.float32))
        except queue.Full:
            _log.warning("inputs come faster than they are answered; a window is dropped")


def find_imu(bus: Bus, address: int) -> None:
    """Check that an MPU-6050 answers at an I2C address.

    Args:
        bus: the I2C bus.
        address: the address to check.

    Raises:
        SourceError: nothing answers at the address, or another chip does.
    """
    try:
        (found,) = bus.read_i2c_block_data(address, _WHO_AM_I, 1)
    except OSError as err:
        raise SourceError(
            f"no answer at I2C address {address:#x}: {err}",
            advice="check the wiring with i2cdetect -y 1, and that I2C is on (raspi-config)",
        ) from err
    if found != _IDENTITY:
        raise SourceError(
            f"the chip at I2C address {address:#x} identifies itself as {found:#x}, an MPU-6050 "
            f"as {_IDENTITY:#x}",
            advice="give [source] i2c_address",
        )


def _conversion(channels: Sequence[str], units: Sequence[str]) -> tuple[list[int], Windows]:
    columns, scale = [], []
    for channel, unit in zip(channels, units, strict=True):
        column = AXES.index(channel) if channel in AXES else -1
        factors, count = (_PER_G, _G_PER_COUNT) if column < 3 else (_PER_DEG_S, _DEG_S_PER_COUNT)
        if column < 0 or unit not in factors:
            raise SourceError(
                f"the IMU does not measure the task's channel {channel!r} in {unit!r}",
                advice=f"it measures {', '.join(AXES)}, in g or m/s^2 and deg/s or rad/s",
            )
        columns.append(column)
        scale.append(factors[unit] * count)
    return columns, np.array(scale, np.float32)
