import os
import signal
import threading

import pytest

from nestling_device.runtime.signals import ending_signals
from tests.support.processes import until


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ending_signal_sets_the_event_and_cancels_once(number: signal.Signals) -> None:
    stop, cancelled = threading.Event(), []
    before = signal.getsignal(number)

    with ending_signals(stop, lambda: cancelled.append(stop.is_set())):
        os.kill(os.getpid(), number)
        until(lambda: bool(cancelled))
        os.kill(os.getpid(), number)

    assert stop.is_set()
    assert cancelled == [True]
    assert signal.getsignal(number) == before


def test_signal_while_the_main_thread_holds_the_event_lock_does_not_deadlock() -> None:
    stop, cancelled = threading.Event(), threading.Event()

    with ending_signals(stop, cancelled.set):
        with stop._cond:  # type: ignore[attr-defined]  # as within stop.wait()
            os.kill(os.getpid(), signal.SIGTERM)
            assert not cancelled.wait(0.01)
        assert cancelled.wait(10)


def test_sighup_logs_a_warning_and_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stop, cancelled = threading.Event(), threading.Event()

    with ending_signals(stop, cancelled.set):
        os.kill(os.getpid(), signal.SIGHUP)
        until(lambda: "SIGHUP changes nothing" in caplog.text)

    assert not stop.is_set()
    assert not cancelled.is_set()
