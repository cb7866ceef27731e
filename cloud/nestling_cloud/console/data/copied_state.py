"""Writes the notices about devices whose state folder was copied."""

from collections.abc import Sequence

_MOST_NAMES = 3
_REMEDY = (
    "No receipt is lost, but figures and commands of the copies are mixed. Enrol each device under "
    "its own name, or stop the copy."
)


def fleet_notice(shared: Sequence[str]) -> str:
    """Return a notice that names the devices with copied state folders, or "" if there are none."""
    if not shared:
        return ""
    names = ", ".join(shared[:_MOST_NAMES])
    more = f" and {len(shared) - _MOST_NAMES} more" if len(shared) > _MOST_NAMES else ""
    return f"Several copies of a state folder report as {names}{more}. {_REMEDY}"


def device_notice(copies: int) -> str:
    """Return a notice that a device's state folder was copied, or "" if only one copy reports."""
    if copies <= 1:
        return ""
    return f"{copies} copies of this device's state folder reported in the last hour. {_REMEDY}"
