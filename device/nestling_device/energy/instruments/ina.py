"""Reads Texas Instruments' power monitors INA219 and INA260 over I2C.

Both chips are wired into the board's supply. They average current and voltage over most of the
time between two readings. The registers and scales are from the data sheets SBOS448 (INA219) and
SBOS656 (INA260).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from nestling.v1.receipt_pb2 import PROVENANCE_MEASURED
from nestling_device.energy.instruments.instrument import InstrumentError
from nestling_device.hardware.i2c import Bus, read_word, signed, write_word

_CONFIGURATION = 0x00  # the same in both chips

_INA219_SHUNT = 0x01
_INA219_BUS = 0x02
# 32 V bus range, 320 mV shunt range, both averaged over 16 samples (8.5 ms), continuous mode.
_INA219_SETTINGS = 0x3E67
_INA219_SHUNT_V = 10e-6
_INA219_BUS_V = 4e-3
_INA219_OVERFLOW = 0x0001

_INA260_CURRENT = 0x01
_INA260_VOLTAGE = 0x02
_INA260_MANUFACTURER = 0xFE
_TEXAS_INSTRUMENTS = 0x5449
_INA260_DIE = 0xFF
_INA260_DIE_ID = 0x227  # without the revision; similar TI chips have other registers
# Current and voltage averaged over 4 samples of 1.1 ms each, continuous mode.
_INA260_SETTINGS = 0x6327
_INA260_A = 1.25e-3
_INA260_V = 1.25e-3


class Ina219:
    """Reads the power from an INA219.

    The chip measures the voltage over an external shunt (a small resistor) and the bus voltage.
    """

    period_s = 0.02
    provenance = PROVENANCE_MEASURED

    def __init__(self, bus: Bus, *, address: int, shunt_ohm: float) -> None:
        """Configure the chip.

        Args:
            bus: the I2C bus, which is closed with the instrument.
            address: the I2C address, 0x40 to 0x4F.
            shunt_ohm: the resistance of the shunt, which is 0.1 on most breakout boards.

        Raises:
            InstrumentError: there is no INA219 at the address.
        """
        self._bus = bus
        self._address = address
        self._shunt_ohm = shunt_ohm
        with _wrapped(address):
            write_word(bus, address, _CONFIGURATION, _INA219_SETTINGS)
            readback = read_word(bus, address, _CONFIGURATION)
        if readback != _INA219_SETTINGS:
            raise InstrumentError(
                f"the chip at I2C address {address:#x} is not an INA219: its configuration reads "
                f"{readback:#06x} after {_INA219_SETTINGS:#06x} was written",
                advice="correct [meter] i2c_address",
            )

    def watts(self) -> float:
        """Return the mean power over the last 17 ms, in watts.

        Raises:
            InstrumentError: the chip does not answer, or the current exceeds its range.
        """
        with _wrapped(self._address):
            shunt = signed(read_word(self._bus, self._address, _INA219_SHUNT))
            bus = read_word(self._bus, self._address, _INA219_BUS)
        if bus & _INA219_OVERFLOW:
            raise InstrumentError("the INA219 is out of range: use a shunt of less resistance")
        amperes = shunt * _INA219_SHUNT_V / self._shunt_ohm
        return amperes * (bus >> 3) * _INA219_BUS_V

    def close(self) -> None:
        """Close the bus."""
        self._bus.close()


class Ina260:
    """Reads the power from an INA260.

    The chip measures the current through its own shunt (a small resistor) and the bus voltage.
    """

    period_s = 0.01
    provenance = PROVENANCE_MEASURED

    def __init__(self, bus: Bus, *, address: int) -> None:
        """Configure the chip.

        Args:
            bus: the I2C bus, which is closed with the instrument.
            address: the I2C address, 0x40 to 0x4F.

        Raises:
            InstrumentError: there is no INA260 at the address.
        """
        self._bus = bus
        self._address = address
        with _wrapped(address):
            manufacturer = read_word(bus, address, _INA260_MANUFACTURER)
            if manufacturer != _TEXAS_INSTRUMENTS:
                raise InstrumentError(
                    f"the chip at I2C address {address:#x} is not an INA260: its manufacturer id "
                    f"reads {manufacturer:#06x}, not {_TEXAS_INSTRUMENTS:#06x}",
                    advice="correct [meter] i2c_address",
                )
            die = read_word(bus, address, _INA260_DIE)
            if die >> 4 != _INA260_DIE_ID:
                raise InstrumentError(
                    f"the chip at I2C address {address:#x} is not an INA260: its die id reads "
                    f"{die:#06x}, not {_INA260_DIE_ID << 4:#06x}",
                    advice="correct [meter] i2c_address",
                )
            write_word(bus, address, _CONFIGURATION, _INA260_SETTINGS)

    def watts(self) -> float:
        """Return the mean power over the last 9 ms, in watts.

        The power is computed from current and voltage. At 5 V, it has steps of 6.25 mW, whereas the
        chip's power register has steps of 10 mW.

        Raises:
            InstrumentError: the chip does not answer.
        """
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
            f"no answer at I2C address {address:#x}: {err}",
            advice="check the wiring with i2cdetect -y 1",
        ) from err
