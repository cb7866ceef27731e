"""Who may see what: pure rules over the head of a request."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from nestling_cloud.console.auth.sessions import COOKIE, Sessions
from nestling_cloud.console.auth.tokens import TokenFile
from nestling_cloud.console.http.paths import API, HEALTH, ICON, LOGIN, STYLE
from nestling_core.network.hosts import is_loopback

# What answers everybody.
OPEN_PATHS = frozenset({HEALTH, LOGIN, STYLE, ICON})
# Who asks with a session.
BROWSER = "console"
# Others would get as far as the page that says that there is none, and that one is not cheap.
_OPEN_METHODS = frozenset({"GET", "POST"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Verdict(Enum):
    """What becomes of a request."""

    PASS = auto()
    LOG_IN = auto()  # no session and no token
    STRANGE_HOST = auto()  # somebody else's name leads here: DNS rebinding
    STRANGE_ORIGIN = auto()  # somebody else's page asks: request forgery


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What becomes of a request, and who asks: "console" for a browser, else the token."""

    verdict: Verdict
    by: str = ""


_STRANGE_HOST = Decision(verdict=Verdict.STRANGE_HOST)
_STRANGE_ORIGIN = Decision(verdict=Verdict.STRANGE_ORIGIN)


@dataclass(frozen=True, kw_only=True)
class RequestHead:
    """The head of an HTTP request, or of a websocket's handshake.

    Attributes:
        path: without the query.
        method: of HTTP; "WEBSOCKET" for a handshake.
        headers: by lower-case name.
    """

    path: str
    method: str
    headers: Mapping[str, str]

    @property
    def session_key(self) -> str:
        """The session's cookie, "" where none came."""
        try:
            cookie = SimpleCookie(self.headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return ""
        return cookie.value if cookie else ""

    @property
    def token(self) -> str:
        """The API token, "" where none came."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""


class Access:
    """Decides about requests.

    Args:
        sessions: of browsers.
        tokens: for the API.
        local_only: whether the console listens on loopback, and so has only loopback's names.
    """

    def __init__(self, sessions: Sessions, tokens: TokenFile, *, local_only: bool) -> None:
        self._sessions = sessions
        self._tokens = tokens
        self._local_only = local_only

    def decide(self, asked: RequestHead) -> Decision:
        """Whether a request passes, and why not."""
        host = asked.headers.get("host", "")
        if self._local_only and not is_loopback(_name(host)):
            return _STRANGE_HOST
        by_token = asked.path.startswith(API) and bool(asked.token)
        if asked.method not in _SAFE_METHODS and not by_token and not _own_page(asked, host):
            # Who has no session asks with nobody's rights: a script that forgot its token.
            nobody = asked.path.startswith(API) and not asked.session_key
            return Decision(verdict=Verdict.LOG_IN) if nobody else _STRANGE_ORIGIN
        if asked.path in OPEN_PATHS and asked.method in _OPEN_METHODS:
            return Decision(verdict=Verdict.PASS)
        by = self._holder(asked) if by_token else self._browser(asked)
        return Decision(verdict=Verdict.PASS if by else Verdict.LOG_IN, by=by)

    def _browser(self, asked: RequestHead) -> str:
        return BROWSER if self.session_lasts(asked) else ""

    def _holder(self, asked: RequestHead) -> str:
        name = self._tokens.holder(asked.token)
        return f"token {name}" if name else ""

    def session_lasts(self, asked: RequestHead) -> bool:
        """Whether the session that a request came with is open still."""
        return bool(asked.session_key) and self._sessions.use(asked.session_key)


def _name(host: str) -> str:
    """Host header without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _own_page(asked: RequestHead, host: str) -> bool:
    """Whether a page of ours asks; browsers send an Origin with whatever changes something."""
    try:
        return bool(host) and urlsplit(asked.headers.get("origin", "")).netloc == host
    except ValueError:
        return False
