"""The times that people choose between, all of them up to now."""

from dataclasses import dataclass

from nestling_cloud.store.time_range import TimeRange


@dataclass(frozen=True, kw_only=True)
class Span:
    """One choice.

    Attributes:
        name: in addresses.
        label: for people.
        length_ms: up to now; None for everything.
        fresh_s: how long figures of it may be shown before they are read again.
    """

    name: str
    label: str
    length_ms: int | None
    fresh_s: float

    @property
    def words(self) -> str:
        """The time in words, to stand beside a figure."""
        return (
            "ever"
            if self.length_ms is None
            else f"last {self.label}".replace(" ", "\N{NO-BREAK SPACE}")
        )

    def until(self, now_ms: int) -> TimeRange:
        """The time up to now; everything begins with Unix time."""
        since_ms = 0 if self.length_ms is None else now_ms - self.length_ms
        return TimeRange(since_ms=max(0, since_ms), until_ms=now_ms + 1)


_SPANS = (
    Span(name="5m", label="5 min", length_ms=5 * 60_000, fresh_s=0.9),
    Span(name="1h", label="1 h", length_ms=3_600_000, fresh_s=0.9),
    Span(name="24h", label="24 h", length_ms=24 * 3_600_000, fresh_s=5.0),
    Span(name="7d", label="7 d", length_ms=7 * 24 * 3_600_000, fresh_s=10.0),
    Span(name="all", label="All", length_ms=None, fresh_s=10.0),
)
SPANS = {span.name: span for span in _SPANS}
DEFAULT_SPAN = SPANS["1h"]


def span_named(name: str, age_ms: int | None) -> Span:
    """Span of a name; for a name that there is not, one that fits the age of the first answer."""
    young = age_ms is not None and age_ms < 5 * 60_000
    return SPANS.get(name, SPANS["5m"] if young else DEFAULT_SPAN)
