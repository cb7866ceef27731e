"""Handles the signals of a running device.

SIGINT and SIGTERM end the device, and SIGHUP is only logged.

Python runs signal handlers in the main thread, between any two bytecode instructions. A handler
that raises can interrupt code that holds a lock (a gRPC call once waited ten minutes for its own
lock), and a handler that sets an event can deadlock on that event's lock. So the handlers here do
nothing: the interpreter writes the signal's number to a pipe, and a thread reads the pipe.
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
    """Make SIGINT and SIGTERM set an event and cancel blocking calls during the block.

    SIGHUP is logged and has no other effect. Only the main thread may call this.

    Args:
        stop: the event that either signal sets.
        cancel: a function that is called once, in another thread, after `stop` has been set. It
            should end any call that the main thread is waiting for.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)  # required by set_wakeup_fd
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
    """Do nothing, because a thread handles the signal (see the module docstring)."""


def _listen(reading: int, stop: threading.Event, cancel: Callable[[], None]) -> None:
    while numbers := os.read(reading, 64):
        if signal.SIGHUP in numbers:
            _log.warning(
                "SIGHUP changes nothing: settings are read at the start; restart the device to "
                "apply new ones"
            )
        if not stop.is_set() and any(number in numbers for number in _ENDING):
            stop.set()
            cancel()
