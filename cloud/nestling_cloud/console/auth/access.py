"""Decides from the path, method and headers of a request whether the request is allowed.

Apart from looking up sessions and tokens, the module is pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from nestling_cloud.console.auth.sessions import COOKIE, Sessions
from nestling_cloud.console.auth.tokens import TokenFile
from nestling_cloud.console.http.paths import API, HEALTH, ICON, LOGIN, STYLE
from nestling_core.network.hosts import is_loopback

# Paths that answer without a session or token.
OPEN_PATHS = frozenset({HEALTH, LOGIN, STYLE, ICON})
# Name of a client with a session.
BROWSER = "console"
# Other methods would reach the 404 page, which costs more to build than a refusal.
_OPEN_METHODS = frozenset({"GET", "POST"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Verdict(Enum):
    """Outcome of an access check."""

    PASS = auto()
    LOG_IN = auto()  # neither a session nor a token
    FOREIGN_HOST = auto()  # another host's name resolves to this machine: DNS rebinding
    FOREIGN_ORIGIN = auto()  # sent by another site's page: cross-site request forgery


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The verdict on a request, with the name of the sender.

    Attributes:
        verdict: whether the request passes or, if it does not, the reason.
        by: the sender: "console" for a browser with a session, "token NAME" for a program, or "" if
            the sender is not known.
    """

    verdict: Verdict
    by: str = ""


_FOREIGN_HOST = Decision(verdict=Verdict.FOREIGN_HOST)
_FOREIGN_ORIGIN = Decision(verdict=Verdict.FOREIGN_ORIGIN)


@dataclass(frozen=True, kw_only=True)
class RequestHead:
    """The head of an HTTP request, or of a websocket handshake.

    Attributes:
        path: the path of the URL, without the query.
        method: the HTTP method, or "WEBSOCKET" for a handshake.
        headers: the headers by lower-case name.
    """

    path: str
    method: str
    headers: Mapping[str, str]

    @property
    def session_key(self) -> str:
        """The key in the session cookie, or "" if there is no readable cookie."""
        try:
            cookie = SimpleCookie(self.headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return ""
        return cookie.value if cookie else ""

    @property
    def token(self) -> str:
        """The API token of the request, or "" if there is none."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""


class Access:
    """Decides whether requests pass.

    Args:
        sessions: the sessions of browsers.
        tokens: the API tokens.
        local_only: whether the console listens on loopback. If so, requests whose Host header
            does not name a loopback host are refused.
    """

    def __init__(self, sessions: Sessions, tokens: TokenFile, *, local_only: bool) -> None:
        self._sessions = sessions
        self._tokens = tokens
        self._local_only = local_only

    def decide(self, request: RequestHead) -> Decision:
        """Return whether a request passes, and who sent it.

        If the decision depends on an open session, the session's idle time starts again.

        Raises:
            TokenError: the file of tokens cannot be read or is damaged.
        """
        host = request.headers.get("host", "")
        if self._local_only and not is_loopback(_name(host)):
            return _FOREIGN_HOST
        by_token = request.path.startswith(API) and bool(request.token)
        if request.method not in _SAFE_METHODS and not by_token and not _own_page(request, host):
            # Without a session this is no forgery, but a script that forgot its token.
            script = request.path.startswith(API) and not request.session_key
            return Decision(verdict=Verdict.LOG_IN) if script else _FOREIGN_ORIGIN
        if request.path in OPEN_PATHS and request.method in _OPEN_METHODS:
            return Decision(verdict=Verdict.PASS)
        by = self._holder(request) if by_token else self._browser(request)
        return Decision(verdict=Verdict.PASS if by else Verdict.LOG_IN, by=by)

    def _browser(self, request: RequestHead) -> str:
        return BROWSER if self.session_lasts(request) else ""

    def _holder(self, request: RequestHead) -> str:
        name = self._tokens.holder(request.token)
        return f"token {name}" if name else ""

    def session_lasts(self, request: RequestHead) -> bool:
        """Return whether the session of a request is still open.

        If the session is open, its idle time starts again.
        """
        return bool(request.session_key) and self._sessions.use(request.session_key)


def _name(host: str) -> str:
    """Return the host name in a Host header, without the port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _own_page(request: RequestHead, host: str) -> bool:
    """Return whether a page of this console sent the request.

    The Origin header must name the same host as the Host header. Browsers add an Origin header to
    every websocket handshake, and to every request with a method other than GET and HEAD.
    """
    try:
        return bool(host) and urlsplit(request.headers.get("origin", "")).netloc == host
    except ValueError:
        return False
