"""Logs unreadable messages from peers in a few short lines, each with the count so far.

A peer that sends garbage a thousand times a second must neither fill the disk nor drown out other
log lines. The first message of a kind is logged at once, then the tenth, the hundredth and so on,
and any message that arrives ten minutes or more after the last line.
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
    """Counts events of one kind and decides which of them are logged."""

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
    """Counts unreadable messages by kind and logs some of them, one line each.

    Args:
        log: logger to write to.
        clock: returns the seconds of a monotonic clock.
    """

    def __init__(self, log: logging.Logger, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._tallies: dict[str, _Tally] = {}

    def add(self, kind: str, peer: str, reason: object) -> None:
        """Count a dropped message, and log it if it is due.

        Args:
            kind: kind of message; one of a fixed few, never a text that a peer chooses.
            peer: sender, by the name that it claims.
            reason: why the message cannot be read.
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
    """Drops most of a library's repeated warnings, and adds the count so far to the others.

    Args:
        clock: returns the seconds of a monotonic clock.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._tallies: dict[str, _Tally] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log a record; records that are not warnings always pass.

        Warnings are counted by their text before formatting.
        """
        if record.levelno != logging.WARNING:
            return True
        tally = self._tallies.setdefault(str(record.msg), _Tally())
        passes = tally.add(self._clock())
        if passes and tally.count > 1:
            record.msg = f"{record.msg} ({tally.count:,} so far)"
        return passes


@contextlib.contextmanager
def fewer_repeats(log: logging.Logger) -> Iterator[None]:
    """Drop most of a library's repeated warnings while the block runs."""
    repeats = RepeatFilter()
    log.addFilter(repeats)
    try:
        yield
    finally:
        log.removeFilter(repeats)
