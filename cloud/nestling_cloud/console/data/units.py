"""Formats numbers and times for people, with units."""

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
    """Format a number with three significant digits.

    Whole numbers, and numbers whose absolute value is 1000 or more, are instead written without
    decimals and with their digits in groups of three. A number that is not finite becomes a dash.
    """
    if not math.isfinite(value):
        return NOTHING
    if value == round(value) or abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", _NARROW)
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}"


def energy(energy_mj: float) -> str:
    """Format an energy in a suitable unit."""
    return _scaled(energy_mj, _ENERGY_MJ)


def energies(by_source: Mapping[str, Mapping[str, float]]) -> str:
    """Format energies by source and provenance.

    Energies that are all of one provenance (measured, calibrated or modelled) are shown as one sum.
    Otherwise each energy is shown with its source and provenance.

    Args:
        by_source: a mapping from each source to a mapping from each provenance to the energy in mJ.
    """
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
    """Format a number of bytes in a suitable unit."""
    return _scaled(size_bytes, _BYTES)


def macs(count: float) -> str:
    """Format a number of multiply-accumulates."""
    for factor, prefix in _COUNTS:
        if abs(count) >= factor:
            return f"{number(count / factor)}{_NARROW}{prefix}MAC"
    return f"{number(count)}{_NARROW}MAC"


def latency(latency_ms: float) -> str:
    """Format a latency in milliseconds, or in seconds if it is one second or longer."""
    if latency_ms >= 1000:
        return f"{number(latency_ms / 1000)}{_NARROW}s"
    return f"{number(latency_ms)}{_NARROW}ms"


def percent(share: float) -> str:
    """Format a share, 0 to 1, as a percentage with one decimal."""
    return f"{100 * share:.1f}{_NARROW}%"


def age(then_ms: int, now_ms: int) -> str:
    """Format how long ago an event was, for example as "4 min ago".

    Less than a second ago is "now".

    Args:
        then_ms: the Unix time of the event.
        now_ms: the Unix time now.
    """
    seconds = max(0.0, (now_ms - then_ms) / 1000)
    for factor, unit in _AGES_S:
        if seconds >= factor:
            return f"{int(seconds / factor)}{_NARROW}{unit} ago"
    return "now"


def time_utc(at_ms: int) -> str:
    """Format a Unix time in milliseconds as a date and time in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _scaled(value: float, units: tuple[tuple[float, str], ...]) -> str:
    if not math.isfinite(value):
        return NOTHING
    factor, unit = next((one for one in units if abs(value) >= one[0]), units[-1])
    if value == 0:
        factor, unit = next(one for one in units if one[0] == 1.0)
    return f"{number(value / factor)}{_NARROW}{unit}"
