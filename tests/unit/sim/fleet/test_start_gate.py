"""A fleet starts a few devices at a time, and as a whole or not at all."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from nestling_sim.fleet.start_gate import FleetStart, NotStartedError
from tests.support.processes import DEADLINE_S, until


def test_eight_start_at_once_and_none_goes_on_before_all_are_up() -> None:
    start, starting, may_finish = FleetStart(40), threading.Semaphore(0), threading.Semaphore(0)
    up: list[int] = []

    def device(number: int) -> int:
        with start.turn():
            starting.release()
            assert may_finish.acquire(timeout=DEADLINE_S)
            up.append(number)
        start.wait_for_all()
        return len(up)

    with ThreadPoolExecutor(40) as pool:
        seen = pool.map(device, range(40))
        assert all(starting.acquire(timeout=DEADLINE_S) for _ in range(8))
        ninth = starting.acquire(timeout=0.1)
        may_finish.release(40)

        assert list(seen) == [40] * 40
    assert not ninth


def test_device_that_fails_to_start_stops_the_others() -> None:
    start = FleetStart(3)

    def device(number: int) -> str:
        try:
            with start.turn():
                {0: "up", 2: "up"}[number]
            start.wait_for_all()
        except (KeyError, NotStartedError) as err:
            return type(err).__name__
        return "went on"

    with ThreadPoolExecutor(3) as pool:
        ends = list(pool.map(device, range(3)))

    assert ends == ["NotStartedError", "KeyError", "NotStartedError"]


def test_abort_releases_waiting_devices() -> None:
    start = FleetStart(2)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(start.wait_for_all)
        until(waiting.running)

        start.abort()

        with pytest.raises(NotStartedError):
            waiting.result()
