"""The I2C bus, as far as sensors and meters here need it."""

import importlib
from collections.abc import Sequence
from typing import Protocol

from nestling_device.errors import DeviceError


class BusError(DeviceError):
    """The I2C bus cannot be opened."""


class Bus(Protocol):
    """The part of smbus2's `SMBus` that is used; each call raises OSError if nobody answers."""

    def read_i2c_block_data(self, i2c_addr: int, register: int, length: int) -> Sequence[int]:
        """Read so many bytes from a register on."""
        ...

    def write_i2c_block_data(self, i2c_addr: int, register: int, data: Sequence[int]) -> None:
        """Write bytes from a register on."""
        ...

    def close(self) -> None:
        """Close the bus."""
        ...


def open_bus(number: int) -> Bus:
    """Open /dev/i2c-`number`.

    Raises:
        BusError: smbus2 is not installed, or there is no such bus, or it is not ours to use.
    """
    try:
        smbus2 = importlib.import_module("smbus2")  # optional, so not at the top
    except ImportError as err:
        raise BusError("I2C needs smbus2: pip install 'nestling[i2c]'") from err
    try:
        bus: Bus = smbus2.SMBus(number)
    except OSError as err:
        raise BusError(
            f"/dev/i2c-{number} cannot be opened: {err.strerror}; turn I2C on (raspi-config) and "
            "put the device's user into the group i2c"
        ) from err
    return bus


def read_word(bus: Bus, address: int, register: int) -> int:
    """Read 16 bits, most significant byte first, as these chips send them."""
    high, low = bus.read_i2c_block_data(address, register, 2)
    return high << 8 | low


def write_word(bus: Bus, address: int, register: int, value: int) -> None:
    """Write 16 bits, most significant byte first."""
    bus.write_i2c_block_data(address, register, [value >> 8, value & 0xFF])


def signed(word: int) -> int:
    """Read 16 bits as a two's complement number."""
    return word - (1 << 16) if word & 0x8000 else word
