"""Reads the available memory and the battery charge of the machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
POWER_SUPPLIES = Path("/sys/class/power_supply")
_BATTERIES = {"Battery", "UPS"}
_FULL = 1.0


def available_memory_bytes(meminfo: Path = _MEMINFO) -> int | None:
    """Return the memory that is available without swapping, as the kernel estimates it.

    Args:
        meminfo: the file in which the kernel reports the memory.

    Returns:
        The number of bytes, or None if the kernel does not report it.
    """
    try:
        lines = meminfo.read_text("ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def battery_charge(supplies: Path = POWER_SUPPLIES, name: str = "") -> float:
    """Return the charge of this machine's battery.

    Batteries of peripherals (mouse, keyboard, pen) are ignored, unless `name` is one of them. The
    charges of several batteries are averaged. The average is weighted by the batteries' full energy
    if all of them report it.

    Args:
        supplies: the folder in which the kernel lists power supplies.
        name: the name of the battery, or "" for all batteries that supply the machine.

    Returns:
        The charge from 0 to 1. It is 1 if there is no such battery, or if none can be read.
    """
    gauges = _gauges(supplies, name)
    if not gauges:
        return _FULL
    weights = [gauge.full_uwh for gauge in gauges]
    if not all(weights):
        weights = [1] * len(gauges)
    weighted = sum(gauge.charge * weight for gauge, weight in zip(gauges, weights, strict=True))
    return weighted / sum(weights)


@dataclass(frozen=True, kw_only=True)
class _Gauge:
    """The state of one battery.

    Attributes:
        charge: the charge from 0 to 1.
        full_uwh: the energy of the full battery in microwatt-hours, or 0 if it is unknown.
    """

    charge: float
    full_uwh: int


def _gauges(supplies: Path, name: str) -> Sequence[_Gauge]:
    try:
        folders = sorted(supplies.iterdir())
    except OSError:
        return []
    selected = [
        folder
        for folder in folders
        if folder.name == name or (not name and _feeds_the_machine(folder))
    ]
    gauges = [_gauge(folder) for folder in selected]
    return [gauge for gauge in gauges if gauge is not None]


def _feeds_the_machine(folder: Path) -> bool:
    return (
        _text(folder / "type") in _BATTERIES
        and _text(folder / "scope") != "Device"
        and _text(folder / "present") != "0"  # an empty battery bay
    )


def _gauge(folder: Path) -> _Gauge | None:
    """Return the state of a battery, or None if it cannot be read.

    A battery that has just been unplugged, for example, cannot be read.
    """
    full = _number(folder / "energy_full")
    percent = _number(folder / "capacity")
    charge = _share(folder) if percent is None else percent / 100
    if charge is None:
        return None
    return _Gauge(charge=min(max(charge, 0.0), 1.0), full_uwh=max(full or 0, 0))


def _share(folder: Path) -> float | None:
    for unit in ("energy", "charge"):
        now, full = _number(folder / f"{unit}_now"), _number(folder / f"{unit}_full")
        if now is not None and full:
            return now / full
    return None


def _number(path: Path) -> int | None:
    try:
        return int(_text(path))
    except ValueError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""
