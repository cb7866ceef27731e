"""Numbers as people read them: with a unit, and no more digits than they are worth."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime

_NARROW = "\u202f"  # between a number and its unit, and between thousands
_ENERGY_MJ = ((1e9, "MJ"), (1e6, "kJ"), (1e3, "J"), (1.0, "mJ"), (1e-3, "µJ"))
_BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))
_COUNTS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_AGES_S = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))
NOTHING = "\u2013"


def number(value: float) -> str:
    """Three significant digits, whole numbers in groups of three."""
    if not math.isfinite(value):
        return NOTHING
    if value == round(value) or abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", _NARROW)
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}"


def energy(energy_mj: float) -> str:
    """An energy in the unit that fits."""
    return _scaled(energy_mj, _ENERGY_MJ)


def energies(by_source: Mapping[str, Mapping[str, float]]) -> str:
    """Energies in mJ by source and provenance: one sum where all are of one provenance."""
    parts = [
        (source, provenance, energy_mj)
        for source, of_source in by_source.items()
        for provenance, energy_mj in sorted(of_source.items())
    ]
    provenances = {provenance for _, provenance, _ in parts}
    if not parts:
        return NOTHING
    if len(provenances) == 1:
        return f"{energy(sum(energy_mj for _, _, energy_mj in parts))} {provenances.pop()}"
    return ", ".join(f"{source} {energy(mj)} {provenance}" for source, provenance, mj in parts)


def size(size_bytes: float) -> str:
    """A number of bytes in the unit that fits."""
    return _scaled(size_bytes, _BYTES)


def macs(count: float) -> str:
    """A number of multiply-accumulates."""
    for factor, prefix in _COUNTS:
        if abs(count) >= factor:
            return f"{number(count / factor)}{_NARROW}{prefix}MAC"
    return f"{number(count)}{_NARROW}MAC"


def latency(latency_ms: float) -> str:
    """A latency in milliseconds, or in seconds from one on."""
    if latency_ms >= 1000:
        return f"{number(latency_ms / 1000)}{_NARROW}s"
    return f"{number(latency_ms)}{_NARROW}ms"


def percent(share: float) -> str:
    """A share, 0 to 1, with one decimal."""
    return f"{100 * share:.1f}{_NARROW}%"


def age(then_ms: int, now_ms: int) -> str:
    """How long ago something was."""
    seconds = max(0.0, (now_ms - then_ms) / 1000)
    for factor, unit in _AGES_S:
        if seconds >= factor:
            return f"{int(seconds / factor)}{_NARROW}{unit} ago"
    return "now"


def time_utc(at_ms: int) -> str:
    """Date and time of a Unix time, UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _scaled(value: float, units: tuple[tuple[float, str], ...]) -> str:
    if not math.isfinite(value):
        return NOTHING
    factor, unit = next((one for one in units if abs(value) >= one[0]), units[-1])
    if value == 0:
        factor, unit = next(one for one in units if one[0] == 1.0)
    return f"{number(value / factor)}{_NARROW}{unit}"
