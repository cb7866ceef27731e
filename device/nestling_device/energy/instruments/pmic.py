"""A Raspberry Pi 5's power management chip, read through `vcgencmd pmic_read_adc`.

It sees the rails that it makes, and neither what the 5 V connectors draw nor its own losses. jfikar
measured both against a wall meter: real = 1.1451 x sum of volts x amperes + 0.5879 W.
"""

import re
import subprocess
from collections.abc import Callable

from nestling.v1.receipt_pb2 import PROVENANCE_CALIBRATED
from nestling_device.energy.instruments.instrument import InstrumentError

_GAIN = 1.1451
_OFFSET_W = 0.5879
# "VDD_CORE_A current(7)=1.02500000A"; an older firmware leaves the middle out.
_READING = re.compile(r"^\s*(\w+)_([AV])(?:\s+\w+\(\d+\))?\s*=\s*([\d.]+)[AV]\s*$", re.MULTILINE)
_TIMEOUT_S = 5.0


def rail_watts(text: str) -> float:
    """Sum volts times amperes over the rails that have both.

    Raises:
        InstrumentError: the text has no such rail.
    """
    amperes: dict[str, float] = {}
    volts: dict[str, float] = {}
    for rail, unit, value in _READING.findall(text):
        (amperes if unit == "A" else volts)[rail] = float(value)
    rails = amperes.keys() & volts.keys()
    if not rails:
        raise InstrumentError(
            "vcgencmd pmic_read_adc tells no rail's current: only a Raspberry Pi 5 has this chip"
        )
    return sum(amperes[rail] * volts[rail] for rail in rails)


def read_adc() -> str:
    """Run vcgencmd.

    Raises:
        InstrumentError: it is not installed, or fails.
    """
    try:
        return subprocess.run(
            ["vcgencmd", "pmic_read_adc"],  # noqa: S607 - it lies elsewhere on other systems
            capture_output=True,
            text=True,
            check=True,
            timeout=_TIMEOUT_S,
        ).stdout
    except (OSError, subprocess.SubprocessError) as err:
        raise InstrumentError(
            f"vcgencmd pmic_read_adc: {err}; it needs a Raspberry Pi 5, the package "
            "raspi-utils, and a user in the group video"
        ) from err


class Pmic:
    """Tells the whole board's power from the rails'."""

    period_s = 0.1  # every reading starts a process
    provenance = PROVENANCE_CALIBRATED

    def __init__(self, read: Callable[[], str] = read_adc) -> None:
        """Check that it can be read; raises InstrumentError if not."""
        self._read = read
        self.watts()

    def watts(self) -> float:
        """Power of now."""
        return _GAIN * rail_watts(self._read()) + _OFFSET_W

    def close(self) -> None:
        """Nothing is open."""
