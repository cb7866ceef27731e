"""Probes: what the machine has left."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
POWER_SUPPLIES = Path("/sys/class/power_supply")
_BATTERIES = {"Battery", "UPS"}
_FULL = 1.0


def available_memory_bytes(meminfo: Path = _MEMINFO) -> int | None:
    """Memory that a process could take without swapping, as the kernel estimates it.

    Returns:
        Bytes; None where the kernel does not say.
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
    """Read how full this machine's battery is.

    The battery of a mouse, a keyboard or a pen does not count. Several batteries are averaged,
    weighted by the energy that each holds where all of them report it.

    Args:
        supplies: folder in which the kernel lists power supplies.
        name: of the one that counts; "" for all that feed the machine.

    Returns:
        Charge, 0 to 1; 1 on a machine without a battery.
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
    """One battery: its charge, 0 to 1, and the energy it holds when full, 0 if unknown."""

    charge: float
    full_uwh: int


def _gauges(supplies: Path, name: str) -> Sequence[_Gauge]:
    try:
        folders = sorted(supplies.iterdir())
    except OSError:
        return []
    wanted = [
        folder
        for folder in folders
        if folder.name == name or (not name and _feeds_the_machine(folder))
    ]
    found = [_gauge(folder) for folder in wanted]
    return [gauge for gauge in found if gauge is not None]


def _feeds_the_machine(folder: Path) -> bool:
    return (
        _text(folder / "type") in _BATTERIES
        and _text(folder / "scope") != "Device"
        and _text(folder / "present") != "0"  # a bay without its battery
    )


def _gauge(folder: Path) -> _Gauge | None:
    """Read a battery; None for one that cannot be read, such as one that is being unplugged."""
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
