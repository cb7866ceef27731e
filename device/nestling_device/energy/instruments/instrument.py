"""Defines the interface of power instruments, which measure the power that the machine draws."""

from typing import Protocol

from nestling.v1.receipt_pb2 import Provenance
from nestling_device.errors import DeviceError


class InstrumentError(DeviceError):
    """Raised when a power instrument is missing or cannot be read."""


class Instrument(Protocol):
    """Reads the power that the machine draws.

    An instrument is not thread-safe.
    """

    @property
    def period_s(self) -> float:
        """The time between new readings, in seconds."""
        ...

    @property
    def provenance(self) -> Provenance.ValueType:
        """How the power is known.

        It is measured, or calibrated if a formula derives the board's power from the readings.
        """
        ...

    def watts(self) -> float:
        """Return the power in watts.

        Depending on the instrument, this is a mean over a recent interval or the current power.

        Raises:
            InstrumentError: there is no reading; the next call may succeed.
        """
        ...

    def close(self) -> None:
        """Release the instrument, or do nothing if it is released already."""
        ...
