"""The energy counters of an x86 processor (RAPL), as Linux shows them under powercap.

They count what the processor's packages draw, not the whole machine.
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
    """One package's counter; it goes round."""

    path: Path
    range_uj: int
    last_uj: int

    def advance(self) -> int:
        """Microjoules since the last time."""
        now_uj = _read(self.path)
        grown_uj = now_uj - self.last_uj
        self.last_uj = now_uj
        return grown_uj if grown_uj >= 0 else grown_uj + self.range_uj


class Rapl:
    """Tells the mean power of all packages since the reading before."""

    period_s = 0.01  # the counters step every millisecond
    provenance = PROVENANCE_MEASURED

    def __init__(
        self, powercap: Path = _POWERCAP, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Find the packages; raises InstrumentError where there are none, or none to be read."""
        self._clock = clock
        packages = [path for path in powercap.glob("intel-rapl:*") if _is_package(path)]
        if not packages:
            raise InstrumentError(
                f"no RAPL counters under {powercap}: not an x86 processor, or a virtual machine"
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
        """Mean power since the reading before."""
        now_s = self._clock()
        spent_uj = sum(counter.advance() for counter in self._counters)
        passed_s = now_s - self._last_s
        if passed_s <= 0:
            raise InstrumentError("two RAPL readings at the same time")
        self._last_s = now_s
        return spent_uj / 1e6 / passed_s

    def close(self) -> None:
        """Nothing is open."""


def _is_package(zone: Path) -> bool:
    """Whether a zone counts one whole package.

    intel-rapl:0:1 is a part of one, and a zone called psys counts the packages once again.
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
            f"{path} cannot be read: {err}; it needs root, or chmod a+r on energy_uj"
        ) from err
