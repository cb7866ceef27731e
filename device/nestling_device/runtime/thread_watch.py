"""Detects threads that ended with an exception.

The process must not continue without them.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nestling_device.errors import DeviceError

_log = logging.getLogger(__name__)


class ThreadEndedError(DeviceError):
    """Raised when a thread of this process has ended with an exception."""


class ThreadWatch:
    """Records the threads that ended with an exception."""

    def __init__(self) -> None:
        self._ended: list[str] = []

    def note(self, ended: threading.ExceptHookArgs) -> None:
        """Record the exception that ended a thread, and log it if it is not a DeviceError."""
        name = ended.thread.name if ended.thread is not None else "a thread"
        expected = isinstance(ended.exc_value, DeviceError)
        reason = str(ended.exc_value) if expected else repr(ended.exc_value)
        if not expected and ended.exc_value is not None:
            _log.error("%s ended", name, exc_info=ended.exc_value)
        self._ended.append(f"{name} ended: {reason}")

    def check(self) -> None:
        """Raise ThreadEndedError if a thread has ended with an exception."""
        if self._ended:
            raise ThreadEndedError(
                f"{self._ended[0]}", advice="no receipt is lost, start the device again"
            )


@contextmanager
def watch_threads(on_end: Callable[[], None]) -> Iterator[ThreadWatch]:
    """Watch all threads of this process except the main thread during the block.

    If a thread has ended with an exception, an error is raised when the block ends.

    Args:
        on_end: a function that is called whenever a thread ends with an exception, in that thread.
            It should make the block end soon.

    Raises:
        ThreadEndedError: a thread ended with an exception, and the block itself did not raise.
    """
    watch, before = ThreadWatch(), threading.excepthook

    def hook(arguments: threading.ExceptHookArgs) -> None:
        watch.note(arguments)
        on_end()

    threading.excepthook = hook
    try:
        yield watch
    finally:
        threading.excepthook = before
    watch.check()
