from pathlib import Path

import pytest

from nestling_cloud.console.auth.access import OPEN_PATHS, Access, RequestHead, Verdict
from nestling_cloud.console.auth.sessions import COOKIE, Sessions
from nestling_cloud.console.auth.tokens import TokenFile

HOST = "127.0.0.1:8080"
ORIGIN = f"http://{HOST}"


class Door:
    """Access with one session and one token."""

    def __init__(self, folder: Path, *, local_only: bool = True) -> None:
        sessions, tokens = Sessions(lambda: 0.0, lambda: "mark"), TokenFile(folder)
        self.cookie = f"{COOKIE}={sessions.open()}"
        self.bearer = f"Bearer {tokens.add('script', now_ms=0)}"
        self.access = Access(sessions, tokens, local_only=local_only)

    def ask(self, path: str = "/", method: str = "GET", **headers: str) -> Verdict:
        given = {"host": HOST, **{name.replace("_", "-"): text for name, text in headers.items()}}
        return self.access.decide(RequestHead(path=path, method=method, headers=given)).verdict


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


@pytest.mark.parametrize("path", sorted(OPEN_PATHS))
def test_open_paths_answer_everybody(door: Door, path: str) -> None:
    assert door.ask(path) is Verdict.PASS


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/fleet", "/_nicegui_ws/socket.io/", "/healthz/", "/HEALTHZ", "/login/x"]
)
def test_everything_else_needs_a_session_or_a_token(door: Door, path: str) -> None:
    assert door.ask(path) is Verdict.LOG_IN


def test_session_opens_pages_and_api(door: Door) -> None:
    assert door.ask("/", cookie=door.cookie) is Verdict.PASS
    assert door.ask("/api/v1/fleet", cookie=door.cookie) is Verdict.PASS


@pytest.mark.parametrize(
    "cookie", [f"{COOKIE}=wrong", f"{COOKIE}=", "other=1", "\x00;;=", f"{COOKIE}=\u00e4"]
)
def test_wrong_cookie_opens_nothing(door: Door, cookie: str) -> None:
    assert door.ask("/", cookie=cookie) is Verdict.LOG_IN


def test_token_opens_the_api_and_no_page(door: Door) -> None:
    assert door.ask("/api/v1/fleet", authorization=door.bearer) is Verdict.PASS
    assert door.ask("/", authorization=door.bearer) is Verdict.LOG_IN


@pytest.mark.parametrize(
    "authorization", ["Bearer wrong", "Bearer ", "Basic YTpi", "Bearer \u00e4"]
)
def test_wrong_token_opens_nothing(door: Door, authorization: str) -> None:
    assert door.ask("/api/v1/fleet", authorization=authorization) is Verdict.LOG_IN


def test_wrong_token_is_not_made_good_by_a_session(door: Door) -> None:
    headers = {"authorization": "Bearer wrong", "cookie": door.cookie}

    assert door.ask("/api/v1/operating-point", "PUT", **headers) is Verdict.LOG_IN


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "WEBSOCKET"])
@pytest.mark.parametrize(
    "origin", ["", "null", "http://evil.example", "http://127.0.0.1:9999", "http://[bad"]
)
def test_session_changes_nothing_for_another_origin(door: Door, method: str, origin: str) -> None:
    headers = {"cookie": door.cookie} | ({"origin": origin} if origin else {})

    assert door.ask("/api/v1/operating-point", method, **headers) is Verdict.STRANGE_ORIGIN


@pytest.mark.parametrize("method", ["PUT", "WEBSOCKET"])
def test_own_pages_may_change_something(door: Door, method: str) -> None:
    assert door.ask("/x", method, cookie=door.cookie, origin=ORIGIN) is Verdict.PASS


def test_program_without_a_token_is_told_to_bring_one(door: Door) -> None:
    assert door.ask("/api/v1/operating-point", "PUT") is Verdict.LOG_IN
    assert door.ask("/logout", "POST") is Verdict.STRANGE_ORIGIN


def test_token_needs_no_origin(door: Door) -> None:
    verdict = door.ask("/api/v1/operating-point", "PUT", authorization=door.bearer)

    assert verdict is Verdict.PASS


def test_login_from_another_origin_is_refused(door: Door) -> None:
    assert door.ask("/login", "POST", origin="http://evil.example") is Verdict.STRANGE_ORIGIN


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "", "[bad", "10.0.0.1:8080"])
def test_name_that_was_rebound_to_loopback_is_refused(door: Door, host: str) -> None:
    assert door.ask("/", host=host, cookie=door.cookie) is Verdict.STRANGE_HOST


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1", "[::1]:8080"])
def test_any_name_and_port_of_loopback_will_do(door: Door, host: str) -> None:
    assert door.ask("/", host=host, cookie=door.cookie) is Verdict.PASS


def test_console_beyond_loopback_goes_by_any_name(tmp_path: Path) -> None:
    door = Door(tmp_path, local_only=False)

    assert door.ask("/", host="cloud.example", cookie=door.cookie) is Verdict.PASS


def test_decision_tells_who_asks(tmp_path: Path) -> None:
    door = Door(tmp_path)
    by_token = RequestHead(
        path="/api/v1/fleet", method="GET", headers={"host": HOST, "authorization": door.bearer}
    )
    by_session = RequestHead(path="/", method="GET", headers={"host": HOST, "cookie": door.cookie})

    assert door.access.decide(by_token).by == "token script"
    assert door.access.decide(by_session).by == "console"
