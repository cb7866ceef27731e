"""Reads and writes registers on an I2C bus, for sensors and power instruments."""

import importlib
from collections.abc import Sequence
from typing import Protocol

from nestling_device.errors import DeviceError


class BusError(DeviceError):
    """Raised when the I2C bus cannot be opened."""


class Bus(Protocol):
    """The part of smbus2's `SMBus` that Nestling uses.

    Reading and writing raise OSError if the chip does not answer.
    """

    def read_i2c_block_data(self, i2c_addr: int, register: int, length: int) -> Sequence[int]:
        """Return the bytes that a chip sends, starting at a register.

        Args:
            i2c_addr: the address of the chip.
            register: the first register.
            length: the number of bytes.
        """
        ...

    def write_i2c_block_data(self, i2c_addr: int, register: int, data: Sequence[int]) -> None:
        """Write bytes to a chip, starting at a register.

        Args:
            i2c_addr: the address of the chip.
            register: the first register.
            data: the bytes to write.
        """
        ...

    def close(self) -> None:
        """Close the bus."""
        ...


def open_bus(number: int) -> Bus:
    """Open the I2C bus /dev/i2c-`number`.

    Raises:
        BusError: smbus2 is not installed, the bus does not exist, or this user may not use it.
    """
    try:
        smbus2 = importlib.import_module("smbus2")  # an optional dependency
    except ImportError as err:
        raise BusError("I2C needs smbus2: pip install 'nestling[i2c]'") from err
    try:
        bus: Bus = smbus2.SMBus(number)
    except OSError as err:
        raise BusError(
            f"/dev/i2c-{number} cannot be opened: {err.strerror}",
            advice="turn I2C on (raspi-config) and put the device's user into the group i2c",
        ) from err
    return bus


def read_word(bus: Bus, address: int, register: int) -> int:
    """Return the value of a 16-bit register, whose most significant byte comes first.

    Args:
        bus: the I2C bus.
        address: the address of the chip.
        register: the register to read.

    Raises:
        OSError: the chip does not answer.
    """
    high, low = bus.read_i2c_block_data(address, register, 2)
    return high << 8 | low


def write_word(bus: Bus, address: int, register: int, value: int) -> None:
    """Write a 16-bit register, most significant byte first.

    Args:
        bus: the I2C bus.
        address: the address of the chip.
        register: the register to write.
        value: the 16 bits to write.

    Raises:
        OSError: the chip does not answer.
    """
    bus.write_i2c_block_data(address, register, [value >> 8, value & 0xFF])


def signed(word: int) -> int:
    """Return the number that 16 bits represent in two's complement."""
    return word - (1 << 16) if word & 0x8000 else word
