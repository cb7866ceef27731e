"""Defines the time range of a query."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TimeRange:
    """A time range that includes its start but not its end.

    Attributes:
        since_ms: the start in Unix milliseconds.
        until_ms: the end in Unix milliseconds.
    """

    since_ms: int
    until_ms: int
