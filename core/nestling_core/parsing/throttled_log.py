"""Logs unreadable messages from peers, and repeated warnings, in a few short lines.

A peer that sends garbage a thousand times a second must neither fill the disk nor drown out other
log lines. The first event of a kind is logged at once, then the tenth, the hundredth and so on. An
event that occurs ten minutes or more after the last line of its kind is logged too. Every line
except the first states the number of events of its kind so far.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_AGAIN_S = 600.0
_LONGEST_REASON = 200


@dataclass
class _Tally:
    """Counts events of one kind, and decides which of the events are logged."""

    count: int = 0
    next_count: int = 1
    logged_at_s: float = 0.0

    def add(self, now_s: float) -> bool:
        self.count += 1
        if self.count < self.next_count and now_s - self.logged_at_s < _AGAIN_S:
            return False
        if self.count >= self.next_count:
            self.next_count *= 10
        self.logged_at_s = now_s
        return True


class ThrottledLog:
    """Counts unreadable messages by kind, and logs some of them in one line each.

    Args:
        log: the logger to write to.
        clock: the function that returns the seconds of a monotonic clock.
    """

    def __init__(self, log: logging.Logger, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._tallies: dict[str, _Tally] = {}

    def add(self, kind: str, peer: str, reason: object) -> None:
        """Count an unreadable message, and log it if a line of its kind is due.

        Args:
            kind: the kind of message. Each kind occupies memory, so kinds must be few, and a peer
                must not be able to choose them.
            peer: the name that the sender claims to have.
            reason: the reason why the message cannot be read. Its start is logged, on one line.
        """
        tally = self._tallies.setdefault(kind, _Tally())
        if tally.add(self._clock()):
            number = f"{tally.count:,} so far, the last" if tally.count > 1 else "one"
            text = " ".join(str(reason).split())[:_LONGEST_REASON]
            self._log.warning(
                "dropped data that is not readable as %s: %s from %r: %s",
                kind,
                number,
                peer[:64],
                text,
            )


class RepeatFilter(logging.Filter):
    """A log filter that drops most repetitions of a warning.

    To each repetition that is logged, the filter appends the number of equal warnings so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self._tallies: dict[str, _Tally] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log a record.

        Records with a level other than WARNING always pass. Warnings are equal if their messages
        are equal before formatting. If a repetition passes, the number of equal warnings so far is
        appended to its message.
        """
        if record.levelno != logging.WARNING:
            return True
        tally = self._tallies.setdefault(str(record.msg), _Tally())
        passes = tally.add(time.monotonic())
        if passes and tally.count > 1:
            record.msg = f"{record.msg} ({tally.count:,} so far)"
        return passes


@contextlib.contextmanager
def fewer_repeats(log: logging.Logger) -> Iterator[None]:
    """Drop most repetitions of a logger's warnings for the duration of the block."""
    repeats = RepeatFilter()
    log.addFilter(repeats)
    try:
        yield
    finally:
        log.removeFilter(repeats)
