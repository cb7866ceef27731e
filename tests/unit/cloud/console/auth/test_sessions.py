import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from nestling_cloud.console.auth.sessions import IDLE_S, Sessions


class SessionsCase:
    """Sessions with a clock, and a hook that runs while the password mark is read."""

    during_mark: Callable[[], object] | None = None

    def __init__(self) -> None:
        self.now_s = 0.0
        self.sessions = Sessions(lambda: self.now_s, self._mark)

    def _mark(self) -> str:
        if self.during_mark is not None:
            self.during_mark()
        return "mark"


def test_concurrent_requests_both_find_an_expired_session_closed() -> None:
    case = SessionsCase()
    key = case.sessions.open()
    case.now_s = IDLE_S
    both = threading.Barrier(2, timeout=30)
    case.during_mark = both.wait

    with ThreadPoolExecutor(2) as pool:
        used = list(pool.map(case.sessions.use, [key, key]))

    assert used == [False, False]


def test_session_closed_during_its_use_stays_closed() -> None:
    case = SessionsCase()
    key = case.sessions.open()
    case.during_mark = lambda: case.sessions.close(key)

    assert not case.sessions.use(key)

    case.during_mark = None
    assert not case.sessions.use(key)


def test_session_opened_while_another_is_opened_is_kept() -> None:
    case = SessionsCase()
    keys = []

    def open_another() -> None:
        case.during_mark = None
        keys.append(case.sessions.open())

    case.during_mark = open_another
    keys.append(case.sessions.open())

    assert [case.sessions.use(key) for key in keys] == [True, True]
