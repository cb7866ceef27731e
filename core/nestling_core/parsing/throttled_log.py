"""Logs unreadable messages from peers in a few short lines.

Each line states how many messages of its kind there were so far.

A peer that sends garbage a thousand times a second must neither fill the disk nor drown out other
log lines. The first message of a kind is logged at once, then the tenth, the hundredth and so on. A
message that arrives ten minutes or more after the last line is logged too.
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
        """Count a message that cannot be read, and log the message if a line is due.

        Args:
            kind: the kind of message, from a fixed few and never a text that a peer chooses.
            peer: the name that the sender claims to have.
            reason: the reason why the message cannot be read.
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
    """A log filter that drops most of the warnings that a library repeats.

    The filter passes the others on, with the number of equal warnings so far.

    Args:
        clock: the function that returns the seconds of a monotonic clock.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._tallies: dict[str, _Tally] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log a record.

        Records that are not warnings always pass. Warnings are counted by their text before
        formatting.
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
    """Drop most of the warnings that a library repeats while the block runs."""
    repeats = RepeatFilter()
    log.addFilter(repeats)
    try:
        yield
    finally:
        log.removeFilter(repeats)
