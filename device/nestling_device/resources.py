"""Probes: what the machine has left."""

from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_POWER_SUPPLIES = Path("/sys/class/power_supply")


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


def battery_charge(supplies: Path = _POWER_SUPPLIES) -> float:
    """Charge of the first battery, 0 to 1; 1 on a machine without one."""
    for capacity in sorted(supplies.glob("*/capacity")):
        try:
            return min(max(int(capacity.read_text("ascii")) / 100, 0.0), 1.0)
        except (OSError, ValueError):
            continue  # a gauge that is being unplugged; the next one may do
    return 1.0
