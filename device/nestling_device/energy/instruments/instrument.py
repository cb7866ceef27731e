"""The port for power instruments, which measure the power that the machine draws."""

from typing import Protocol

from nestling.v1.receipt_pb2 import Provenance
from nestling_device.errors import DeviceError


class InstrumentError(DeviceError):
    """A power instrument is missing or gave no reading."""


class Instrument(Protocol):
    """Reads power; not thread-safe."""

    @property
    def period_s(self) -> float:
        """Time between new readings, in seconds."""
        ...

    @property
    def provenance(self) -> Provenance.ValueType:
        """Measured, or calibrated if a formula derives the board's power from the readings."""
        ...

    def watts(self) -> float:
        """Return the mean power since the last reading, or the present power, in watts.

        Raises:
            InstrumentError: there is no reading; the next call may succeed.
        """
        ...

    def close(self) -> None:
        """Release the instrument; does nothing if it is closed already."""
        ...
