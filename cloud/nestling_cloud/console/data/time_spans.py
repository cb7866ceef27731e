"""Defines the spans of time that pages offer, all of which end now."""

from dataclasses import dataclass

from nestling_cloud.store.time_range import TimeRange


@dataclass(frozen=True, kw_only=True)
class Span:
    """A span of time that ends now.

    Attributes:
        name: the name in URLs.
        label: the name on pages.
        length_ms: the length; None for the span "all".
        fresh_s: the number of seconds for which figures of this span are cached.
    """

    name: str
    label: str
    length_ms: int | None
    fresh_s: float

    @property
    def phrase(self) -> str:
        """The span as a phrase to show beside a figure, such as "last 1 h"."""
        return (
            "all time"
            if self.length_ms is None
            else f"last {self.label}".replace(" ", "\N{NO-BREAK SPACE}")
        )

    def until(self, now_ms: int) -> TimeRange:
        """Return the time range of this span up to now.

        The span "all" begins at the Unix epoch.
        """
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
    """Return the span with the given name, or a default span if there is none.

    Args:
        name: the name in the URL.
        age_ms: the age of the first answer, or None if there is no answer. The default is five
            minutes if the first answer is younger than that, otherwise one hour.
    """
    young = age_ms is not None and age_ms < 5 * 60_000
    return SPANS.get(name, SPANS["5m"] if young else DEFAULT_SPAN)
