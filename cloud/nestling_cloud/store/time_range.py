"""The time range of a query."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TimeRange:
    """A half-open time range, in Unix milliseconds.

    Attributes:
        since_ms: start, included.
        until_ms: end, excluded.
    """

    since_ms: int
    until_ms: int
