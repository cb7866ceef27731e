"""Who is logged in: sessions in memory, so that a restart of the cloud ends them all."""

import hashlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

COOKIE = "nestling_session"
# A page that is open counts as use.
IDLE_S = 12 * 3600.0
LONGEST_S = 7 * 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class _Session:
    opened_s: float
    used_s: float
    password_mark: str


class Sessions:
    """Opened by the password, closed by logout, by time, or by another password.

    May be used from several threads.

    Args:
        clock: seconds that only grow.
        password_mark: tells which password is the one now.
    """

    def __init__(self, clock: Callable[[], float], password_mark: Callable[[], str]) -> None:
        self._clock = clock
        self._password_mark = password_mark
        self._lock = threading.Lock()
        self._open: dict[str, _Session] = {}  # by the digest of their key

    def open(self) -> str:
        """Begin a session; returns the key that the browser keeps."""
        now_s = self._clock()
        mark = self._password_mark()
        key = secrets.token_urlsafe(32)
        made = _Session(opened_s=now_s, used_s=now_s, password_mark=mark)
        with self._lock:
            lasting = {one: at for one, at in self._open.items() if _lasts(at, now_s, mark)}
            self._open = {**lasting, _digest(key): made}
        return key

    def use(self, key: str) -> bool:
        """Whether a session of this key lasts; being asked keeps it from idling away."""
        digest, now_s = _digest(key), self._clock()
        if digest not in self._open:  # a stranger costs no look at the password's file
            return False
        mark = self._password_mark()
        with self._lock:
            session = self._open.pop(digest, None)
            if session is None or not _lasts(session, now_s, mark):
                return False
            self._open[digest] = replace(session, used_s=now_s)
        return True

    def close(self, key: str) -> None:
        """End a session, if there is one."""
        with self._lock:
            self._open.pop(_digest(key), None)


def _lasts(session: _Session, now_s: float, password_mark: str) -> bool:
    return (
        now_s - session.used_s < IDLE_S
        and now_s - session.opened_s < LONGEST_S
        and session.password_mark == password_mark
    )


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
