import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from nestling_cloud.console.auth.sessions import IDLE_S, Sessions


class SeedModels:
    """Clock and password of some sessions, and what happens while the password is looked at."""

    meanwhile: Callable[[], object] | None = None

    def __init__(self) -> None:
        self.now_s = 0.0
        self.sessions = Sessions(lambda: self.now_s, self._mark)

    def _mark(self) -> str:
        if self.meanwhile is not None:
            self.meanwhile()
        return "mark"


def test_two_requests_may_find_the_same_session_idle() -> None:
    world = SeedModels()
    key = world.sessions.open()
    world.now_s = IDLE_S
    both = threading.Barrier(2, timeout=30)
    world.meanwhile = both.wait

    with ThreadPoolExecutor(2) as pool:
        used = list(pool.map(world.sessions.use, [key, key]))

    assert used == [False, False]


def test_session_that_is_closed_while_it_is_used_stays_closed() -> None:
    world = SeedModels()
    key = world.sessions.open()
    world.meanwhile = lambda: world.sessions.close(key)

    assert not world.sessions.use(key)

    world.meanwhile = None
    assert not world.sessions.use(key)


def test_session_that_is_opened_meanwhile_is_kept() -> None:
    world = SeedModels()
    keys = []

    def open_another() -> None:
        world.meanwhile = None
        keys.append(world.sessions.open())

    world.meanwhile = open_another
    keys.append(world.sessions.open())

    assert [world.sessions.use(key) for key in keys] == [True, True]
