"""Reads the energy counters of an x86 processor (RAPL) under Linux's powercap.

They count the energy of the processor packages, not of the whole machine.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nestling.v1.receipt_pb2 import PROVENANCE_MEASURED
from nestling_device.energy.instruments.instrument import InstrumentError

_POWERCAP = Path("/sys/class/powercap")


@dataclass(kw_only=True)
class _Counter:
    """The energy counter of one processor package, which wraps around at `range_uj`."""

    path: Path
    range_uj: int
    last_uj: int

    def advance(self) -> int:
        """Return the microjoules counted since the last call."""
        now_uj = _read(self.path)
        grown_uj = now_uj - self.last_uj
        self.last_uj = now_uj
        return grown_uj if grown_uj >= 0 else grown_uj + self.range_uj


class Rapl:
    """Measures the total power of all processor packages, averaged since the last reading."""

    period_s = 0.01  # the counters are updated every millisecond
    provenance = PROVENANCE_MEASURED

    def __init__(
        self, powercap: Path = _POWERCAP, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Find the packages and read their counters.

        Args:
            powercap: the folder of the powercap zones.
            clock: the function that returns the seconds of a monotonic clock.

        Raises:
            InstrumentError: there are no RAPL counters, or they cannot be read.
        """
        self._clock = clock
        packages = [path for path in powercap.glob("intel-rapl:*") if _is_package(path)]
        if not packages:
            raise InstrumentError(
                f"no RAPL counters under {powercap}: not an x86 processor, or a virtual machine",
                advice="choose another [meter] kind",
            )
        self._counters = [
            _Counter(
                path=path / "energy_uj",
                range_uj=_read(path / "max_energy_range_uj"),
                last_uj=_read(path / "energy_uj"),
            )
            for path in sorted(packages)
        ]
        self._last_s = clock()

    def watts(self) -> float:
        """Return the mean power since the last reading, in watts.

        Raises:
            InstrumentError: a counter cannot be read, or no time has passed since the last reading.
        """
        now_s = self._clock()
        spent_uj = sum(counter.advance() for counter in self._counters)
        passed_s = now_s - self._last_s
        if passed_s <= 0:
            raise InstrumentError("no time has passed since the last RAPL reading")
        self._last_s = now_s
        return spent_uj / 1e6 / passed_s

    def close(self) -> None:
        """Do nothing, because nothing is open."""


def _is_package(zone: Path) -> bool:
    """Return whether a powercap zone counts one whole processor package.

    Subzones such as intel-rapl:0:1 count a part of a package, and the zone psys counts all packages
    a second time.
    """
    try:
        return (zone / "name").read_text("ascii").startswith("package-")
    except (OSError, ValueError):
        return False


def _read(path: Path) -> int:
    try:
        return int(path.read_text("ascii"))
    except (OSError, ValueError) as err:
        raise InstrumentError(
            f"{path} cannot be read: {err}", advice="run as root, or chmod a+r energy_uj"
        ) from err
