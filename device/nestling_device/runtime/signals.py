"""Signals of a running device: SIGINT and SIGTERM end it, SIGHUP changes nothing.

Python runs a handler in the main thread, between any two steps of the program. A handler that
raises leaves half done what was under way there (a gRPC call object once waited ten minutes for its
own lock), and one that sets an event may wait for that event's own lock. So the handlers here do
nothing: the interpreter writes the signal's number into a pipe, and a thread reads it.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_log = logging.getLogger(__name__)
_ENDING = (signal.SIGINT, signal.SIGTERM)
_HANDLED = (*_ENDING, signal.SIGHUP)


@contextmanager
def ending_signals(stop: threading.Event, cancel: Callable[[], None]) -> Iterator[None]:
    """Have SIGINT and SIGTERM set an event and cancel what is under way; for the main thread.

    Args:
        stop: set by either.
        cancel: called once, in another thread, after `stop` was set: for calls that the main
            thread may be waiting for.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)  # as the interpreter asks for
    thread = threading.Thread(target=_listen, args=(reading, stop, cancel), name="signals")
    thread.start()
    wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    before = {number: signal.signal(number, _do_nothing) for number in _HANDLED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        os.close(writing)
        thread.join()
        os.close(reading)


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Take the place of the system's default action; the thread acts instead."""


def _listen(reading: int, stop: threading.Event, cancel: Callable[[], None]) -> None:
    while numbers := os.read(reading, 64):
        if signal.SIGHUP in numbers:
            _log.warning(
                "SIGHUP changes nothing: settings are read at the start, so restart the device to "
                "have them read again"
            )
        if not stop.is_set() and any(number in numbers for number in _ENDING):
            stop.set()
            cancel()
