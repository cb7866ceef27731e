"""Manages the sessions of logged-in browsers.

The sessions are kept only in memory, so a restart of the cloud ends all of them.
"""

import hashlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

COOKIE = "nestling_session"
# An open page counts as use.
IDLE_S = 12 * 3600.0
LONGEST_S = 7 * 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class _Session:
    opened_s: float
    used_s: float
    password_mark: str


class Sessions:
    """Opens, checks and closes the sessions of browsers.

    A session ends at logout, after `IDLE_S` without use, `LONGEST_S` after it was opened, or when
    the password changes. The class is thread-safe.

    Args:
        clock: a monotonic clock, in seconds.
        password_mark: a function that returns a digest of the current password.
    """

    def __init__(self, clock: Callable[[], float], password_mark: Callable[[], str]) -> None:
        self._clock = clock
        self._password_mark = password_mark
        self._lock = threading.Lock()
        self._open: dict[str, _Session] = {}  # by the digest of their key

    def open(self) -> str:
        """Open a session, and discard the sessions that have ended.

        Returns:
            The key for the browser's cookie.
        """
        now_s = self._clock()
        mark = self._password_mark()
        key = secrets.token_urlsafe(32)
        new = _Session(opened_s=now_s, used_s=now_s, password_mark=mark)
        with self._lock:
            valid = {
                digest: session
                for digest, session in self._open.items()
                if _is_valid(session, now_s, mark)
            }
            self._open = {**valid, _digest(key): new}
        return key

    def use(self, key: str) -> bool:
        """Return whether a key belongs to an open session.

        If the session is open, its idle time starts again.
        """
        digest, now_s = _digest(key), self._clock()
        if digest not in self._open:  # do not read the password file for an unknown key
            return False
        mark = self._password_mark()
        with self._lock:
            session = self._open.pop(digest, None)
            if session is None or not _is_valid(session, now_s, mark):
                return False
            self._open[digest] = replace(session, used_s=now_s)
        return True

    def close(self, key: str) -> None:
        """Close the session with this key, if there is one."""
        with self._lock:
            self._open.pop(_digest(key), None)


def _is_valid(session: _Session, now_s: float, password_mark: str) -> bool:
    return (
        now_s - session.used_s < IDLE_S
        and now_s - session.opened_s < LONGEST_S
        and session.password_mark == password_mark
    )


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
