"""A stretch of time that figures are asked for."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TimeRange:
    """From `since_ms` on, up to but without `until_ms`."""

    since_ms: int
    until_ms: int
