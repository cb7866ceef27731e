"""Texas Instruments' power monitors INA219 and INA260 over I2C, register by register.

Both sit in the board's supply and average by themselves over the time between two readings.
Registers and scales are those of the data sheets SBOS448 (INA219) and SBOS656 (INA260).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from nestling.v1.receipt_pb2 import PROVENANCE_MEASURED
from nestling_device.energy.instruments.instrument import InstrumentError
from nestling_device.hardware.i2c import Bus, read_word, signed, write_word

_CONFIGURATION = 0x00  # of either chip

_INA219_SHUNT = 0x01
_INA219_BUS = 0x02
# 32 V range, 320 mV shunt range, 16 samples averaged (8.5 ms) of either, without end.
_INA219_SETTINGS = 0x3E67
_INA219_SHUNT_V = 10e-6
_INA219_BUS_V = 4e-3
_INA219_OVERFLOW = 0x0001

_INA260_CURRENT = 0x01
_INA260_VOLTAGE = 0x02
_INA260_MANUFACTURER = 0xFE
_TEXAS_INSTRUMENTS = 0x5449
_INA260_DIE = 0xFF
_INA260_DIE_ID = 0x227  # without the revision; its sisters of the same maker have other registers
# 4 samples averaged, 1.1 ms each of current and voltage, without end.
_INA260_SETTINGS = 0x6327
_INA260_A = 1.25e-3
_INA260_V = 1.25e-3


class Ina219:
    """Voltage over a shunt of known resistance, and the voltage of the bus."""

    period_s = 0.02
    provenance = PROVENANCE_MEASURED

    def __init__(self, bus: Bus, *, address: int, shunt_ohm: float) -> None:
        """Set the chip up.

        Args:
            bus: closed with the instrument.
            address: 0x40 to 0x4F.
            shunt_ohm: 0.1 on the usual breakout.

        Raises:
            InstrumentError: no such chip there.
        """
        self._bus = bus
        self._address = address
        self._shunt_ohm = shunt_ohm
        with _wrapped(address):
            write_word(bus, address, _CONFIGURATION, _INA219_SETTINGS)
            found = read_word(bus, address, _CONFIGURATION)
        if found != _INA219_SETTINGS:
            raise InstrumentError(
                f"what answers at I2C address {address:#x} is no INA219: its settings read "
                f"{found:#06x} after {_INA219_SETTINGS:#06x} was written"
            )

    def watts(self) -> float:
        """Power over the last 17 ms."""
        with _wrapped(self._address):
            shunt = signed(read_word(self._bus, self._address, _INA219_SHUNT))
            bus = read_word(self._bus, self._address, _INA219_BUS)
        if bus & _INA219_OVERFLOW:
            raise InstrumentError("the INA219 is out of its range: the shunt is too large")
        amperes = shunt * _INA219_SHUNT_V / self._shunt_ohm
        return amperes * (bus >> 3) * _INA219_BUS_V

    def close(self) -> None:
        """Close the bus."""
        self._bus.close()


class Ina260:
    """Current through the chip's own shunt, and the voltage of the bus."""

    period_s = 0.01
    provenance = PROVENANCE_MEASURED

    def __init__(self, bus: Bus, *, address: int) -> None:
        """Set the chip up; `bus` is closed with it. Raises InstrumentError if it is not there."""
        self._bus = bus
        self._address = address
        with _wrapped(address):
            found = read_word(bus, address, _INA260_MANUFACTURER)
            if found != _TEXAS_INSTRUMENTS:
                raise InstrumentError(
                    f"what answers at I2C address {address:#x} is no INA260: its maker reads "
                    f"{found:#06x}, not {_TEXAS_INSTRUMENTS:#06x}"
                )
            die = read_word(bus, address, _INA260_DIE)
            if die >> 4 != _INA260_DIE_ID:
                raise InstrumentError(
                    f"what answers at I2C address {address:#x} is no INA260: its die reads "
                    f"{die:#06x}, not {_INA260_DIE_ID << 4:#06x}; give [meter] i2c_address"
                )
            write_word(bus, address, _CONFIGURATION, _INA260_SETTINGS)

    def watts(self) -> float:
        """Power over the last 9 ms; finer than the chip's own power register of 10 mW."""
        with _wrapped(self._address):
            current = signed(read_word(self._bus, self._address, _INA260_CURRENT))
            voltage = read_word(self._bus, self._address, _INA260_VOLTAGE)
        return current * _INA260_A * voltage * _INA260_V

    def close(self) -> None:
        """Close the bus."""
        self._bus.close()


@contextmanager
def _wrapped(address: int) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise InstrumentError(
            f"no answer at I2C address {address:#x}: {err}; check the wiring with i2cdetect -y 1"
        ) from err
