"""The port of instruments: something that can say what the machine draws."""

from typing import Protocol

from nestling.v1.receipt_pb2 import Provenance
from nestling_device.errors import DeviceError


class InstrumentError(DeviceError):
    """A power instrument that is not there, or gave no reading."""


class Instrument(Protocol):
    """Reads power; for one thread."""

    @property
    def period_s(self) -> float:
        """How often it has a new reading."""
        ...

    @property
    def provenance(self) -> Provenance.ValueType:
        """Measured, or calibrated where a formula makes the whole board's power of its readings."""
        ...

    def watts(self) -> float:
        """Power since the reading before; an instrument without a memory gives that of now.

        Raises:
            InstrumentError: no reading; the next one may succeed.
        """
        ...

    def close(self) -> None:
        """Let go of it; closing twice is no error."""
        ...
