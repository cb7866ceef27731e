import os
import signal
import threading

import pytest

from nestling_device.runtime.signals import ending_signals
from tests.support.processes import until


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ending_signal_stops_and_cancels_once_and_raises_nothing(number: signal.Signals) -> None:
    stop, cancelled = threading.Event(), []
    before = signal.getsignal(number)

    with ending_signals(stop, lambda: cancelled.append(stop.is_set())):
        os.kill(os.getpid(), number)
        until(lambda: bool(cancelled))
        os.kill(os.getpid(), number)

    assert stop.is_set()
    assert cancelled == [True]
    assert signal.getsignal(number) == before


def test_main_thread_that_holds_the_events_lock_is_not_waited_for() -> None:
    stop, cancelled = threading.Event(), threading.Event()

    with ending_signals(stop, cancelled.set):
        with stop._cond:  # type: ignore[attr-defined]  # as within stop.wait()
            os.kill(os.getpid(), signal.SIGTERM)
            assert not cancelled.wait(0.01)
        assert cancelled.wait(10)


def test_hangup_is_answered_with_a_word_and_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stop, cancelled = threading.Event(), threading.Event()

    with ending_signals(stop, cancelled.set):
        os.kill(os.getpid(), signal.SIGHUP)
        until(lambda: "SIGHUP changes nothing" in caplog.text)

    assert not stop.is_set()
    assert not cancelled.is_set()
