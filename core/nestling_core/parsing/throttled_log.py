"""Logs unreadable messages from peers in few, short lines, each with the count so far.

A peer that sends rubbish a thousand times a second must neither fill a disk nor hide what else is
logged. The first message of a kind gets a line at once, then the tenth, the hundredth and so on,
and any that comes ten minutes or more after the last line.
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
    """Counts events of one kind, and decides which of them is worth a line."""

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
    """Counts unreadable messages by kind, and logs some of them, each as one line.

    Args:
        log: where to.
        clock: seconds of a steady clock.
    """

    def __init__(self, log: logging.Logger, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._tallies: dict[str, _Tally] = {}

    def add(self, kind: str, peer: str, reason: object) -> None:
        """Count a message that was dropped.

        Args:
            kind: of message; one of a few, never something that a peer makes up.
            peer: who sent it, as it says itself.
            reason: why it cannot be read.
        """
        tally = self._tallies.setdefault(kind, _Tally())
        if tally.add(self._clock()):
            number = f"{tally.count:,} so far, the last" if tally.count > 1 else "one"
            text = " ".join(str(reason).split())[:_LONGEST_REASON]
            self._log.warning(
                "dropped what cannot be read as %s: %s from %r: %s", kind, number, peer[:64], text
            )


class RepeatFilter(logging.Filter):
    """Drops most of a library's repeated warnings; the others carry the count so far.

    Args:
        clock: seconds of a steady clock.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._tallies: dict[str, _Tally] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Count a record by its text before formatting; what is not a warning passes."""
        if record.levelno != logging.WARNING:
            return True
        tally = self._tallies.setdefault(str(record.msg), _Tally())
        passes = tally.add(self._clock())
        if passes and tally.count > 1:
            record.msg = f"{record.msg} ({tally.count:,} so far)"
        return passes


@contextlib.contextmanager
def fewer_repeats(log: logging.Logger) -> Iterator[None]:
    """Drop most of a library's repeated warnings for the length of the block."""
    repeats = RepeatFilter()
    log.addFilter(repeats)
    try:
        yield
    finally:
        log.removeFilter(repeats)
