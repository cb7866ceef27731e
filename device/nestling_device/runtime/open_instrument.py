"""Opens the power instrument that the configuration names."""

from nestling_device.config.schema import MeterTable
from nestling_device.energy.instruments.ina import Ina219, Ina260
from nestling_device.energy.instruments.instrument import Instrument
from nestling_device.energy.instruments.pmic import Pmic
from nestling_device.energy.instruments.rapl import Rapl
from nestling_device.hardware.i2c import open_bus


def open_instrument(table: MeterTable) -> Instrument | None:
    """Open the instrument that a configuration names.

    The caller closes it.

    Returns:
        The instrument, or None for `kind = "profile"`, which uses no instrument.

    Raises:
        DeviceError: the instrument cannot be found or opened.
    """
    match table.kind:
        case "pmic":
            return Pmic()
        case "ina219":
            bus = open_bus(table.i2c_bus)
            return Ina219(bus, address=table.i2c_address, shunt_ohm=table.shunt_ohm)
        case "ina260":
            return Ina260(open_bus(table.i2c_bus), address=table.i2c_address)
        case "rapl":
            return Rapl()
        case _:
            return None
