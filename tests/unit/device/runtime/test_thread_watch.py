import threading
from collections.abc import Callable

import pytest

from nestling_device.runtime.thread_watch import ThreadEndedError, watch_threads
from nestling_device.storage.database import StorageError


def run(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work, name="telemetry-porch")
    thread.start()
    thread.join()


def test_failed_thread_ends_the_block_with_its_reason() -> None:
    stop = threading.Event()

    def fail() -> None:
        raise StorageError("outbox.db is damaged")

    words = r"telemetry-porch ended: outbox\.db is damaged"
    with pytest.raises(ThreadEndedError, match=words), watch_threads(stop.set):
        run(fail)

    assert stop.is_set()


def test_unexpected_exception_is_reported_with_its_type(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ThreadEndedError, match="ZeroDivisionError"), watch_threads(lambda: None):
        run(lambda: 1 // 0)

    assert "telemetry-porch ended" in caplog.text


def test_thread_that_ends_normally_raises_nothing() -> None:
    before = threading.excepthook
    with watch_threads(lambda: None) as watch:
        run(lambda: None)
        watch.check()

    assert threading.excepthook is before
