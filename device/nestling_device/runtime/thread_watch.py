"""Notices a thread that ended by an exception: half a device must not go on in silence."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nestling_device.errors import DeviceError

_log = logging.getLogger(__name__)


class ThreadEndedError(DeviceError):
    """A thread of this process ended by an exception."""


class ThreadWatch:
    """Remembers the threads that ended by an exception."""

    def __init__(self) -> None:
        self._ended: list[str] = []

    def note(self, ended: threading.ExceptHookArgs) -> None:
        """Take note of a thread's last exception."""
        name = ended.thread.name if ended.thread is not None else "a thread"
        expected = isinstance(ended.exc_value, DeviceError)
        reason = str(ended.exc_value) if expected else repr(ended.exc_value)
        if not expected and ended.exc_value is not None:
            _log.error("%s ended", name, exc_info=ended.exc_value)
        self._ended.append(f"{name} ended: {reason}")

    def check(self) -> None:
        """Raise ThreadEndedError if a thread has ended by an exception."""
        if self._ended:
            raise ThreadEndedError(f"{self._ended[0]}; nothing is lost, start the device again")


@contextmanager
def watch_threads(on_end: Callable[[], None]) -> Iterator[ThreadWatch]:
    """Watch every thread of this process for the length of the block, and check at its end.

    Args:
        on_end: called in the thread that ends by an exception; should make the block end soon.

    Raises:
        ThreadEndedError: a thread ended by an exception, and the block did not raise itself.
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
