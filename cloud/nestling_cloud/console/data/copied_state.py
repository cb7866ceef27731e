"""What the console says of state folders that were copied."""

from collections.abc import Sequence

_NAMED = 3
_REMEDY = (
    "Nothing is lost, but figures and commands of the copies mix: enrol each device under a name "
    "of its own, or end the copy."
)


def fleet_notice(shared: Sequence[str]) -> str:
    """Say which devices share an identity, "" if none does."""
    if not shared:
        return ""
    named = ", ".join(shared[:_NAMED])
    more = f" and {len(shared) - _NAMED} more" if len(shared) > _NAMED else ""
    return f"Several copies of a state folder report as {named}{more}. {_REMEDY}"


def device_notice(copies: int) -> str:
    """Say how many devices report under one identity, "" if it is the one."""
    if copies <= 1:
        return ""
    return f"{copies} copies of this device's state folder reported within the hour. {_REMEDY}"
