"""Reads a Raspberry Pi 5's power management chip through `vcgencmd pmic_read_adc`.

The chip measures the supply rails that it feeds, but neither the load on the 5 V connectors nor its
own losses. A formula corrects for both: power = 1.1451 x (sum of volts x amperes) + 0.5879 W. It
was fitted to the readings of a wall meter (github.com/jfikar/RPi5-power).
"""

import re
import subprocess
from collections.abc import Callable

from nestling.v1.receipt_pb2 import PROVENANCE_CALIBRATED
from nestling_device.energy.instruments.instrument import InstrumentError

_GAIN = 1.1451
_OFFSET_W = 0.5879
# "VDD_CORE_A current(7)=1.02500000A"; older firmware omits "current(7)".
_READING = re.compile(r"^\s*(\w+)_([AV])(?:\s+\w+\(\d+\))?\s*=\s*([\d.]+)[AV]\s*$", re.MULTILINE)
_TIMEOUT_S = 5.0


def rail_watts(text: str) -> float:
    """Return the total power of the supply rails that report both voltage and current, in watts.

    Args:
        text: the output of `vcgencmd pmic_read_adc`.

    Raises:
        InstrumentError: no rail in the output reports both.
    """
    amperes: dict[str, float] = {}
    volts: dict[str, float] = {}
    for rail, unit, value in _READING.findall(text):
        (amperes if unit == "A" else volts)[rail] = float(value)
    rails = amperes.keys() & volts.keys()
    if not rails:
        raise InstrumentError(
            "vcgencmd pmic_read_adc reports no rail's current: only a Raspberry Pi 5 has this chip",
            advice="choose another [meter] kind",
        )
    return sum(amperes[rail] * volts[rail] for rail in rails)


def read_adc() -> str:
    """Return the output of `vcgencmd pmic_read_adc`.

    Raises:
        InstrumentError: vcgencmd is not installed, or it failed.
    """
    try:
        return subprocess.run(
            ["vcgencmd", "pmic_read_adc"],  # noqa: S607 - its path differs between systems
            capture_output=True,
            text=True,
            check=True,
            timeout=_TIMEOUT_S,
        ).stdout
    except (OSError, subprocess.SubprocessError) as err:
        raise InstrumentError(
            f"vcgencmd pmic_read_adc failed: {err}",
            advice="it needs a Raspberry Pi 5, the package "
            "raspi-utils, and a user in the group video",
        ) from err


class Pmic:
    """Derives the power of the whole board from the power of its supply rails."""

    period_s = 0.1  # every reading starts a process, so not more often
    provenance = PROVENANCE_CALIBRATED

    def __init__(self, read: Callable[[], str] = read_adc) -> None:
        """Check that the chip can be read.

        Args:
            read: a function that returns the output of `vcgencmd pmic_read_adc`.

        Raises:
            InstrumentError: the chip cannot be read.
        """
        self._read = read
        self.watts()

    def watts(self) -> float:
        """Return the current power of the board, in watts.

        Raises:
            InstrumentError: the chip cannot be read.
        """
        return _GAIN * rail_watts(self._read()) + _OFFSET_W

    def close(self) -> None:
        """Do nothing, because nothing is open."""
