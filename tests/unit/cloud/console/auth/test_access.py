from pathlib import Path

import pytest

from nestling_cloud.console.auth.access import OPEN_PATHS, Access, RequestHead, Verdict
from nestling_cloud.console.auth.sessions import COOKIE, Sessions
from nestling_cloud.console.auth.tokens import TokenFile

HOST = "127.0.0.1:8080"
ORIGIN = f"http://{HOST}"


class AccessCase:
    """Access with one session and one token."""

    def __init__(self, folder: Path, *, local_only: bool = True) -> None:
        sessions, tokens = Sessions(lambda: 0.0, lambda: "mark"), TokenFile(folder)
        self.cookie = f"{COOKIE}={sessions.open()}"
        self.bearer = f"Bearer {tokens.add('script', now_ms=0)}"
        self.access = Access(sessions, tokens, local_only=local_only)

    def decide(self, path: str = "/", method: str = "GET", **headers: str) -> Verdict:
        given = {"host": HOST, **{name.replace("_", "-"): text for name, text in headers.items()}}
        return self.access.decide(RequestHead(path=path, method=method, headers=given)).verdict


@pytest.fixture
def case(tmp_path: Path) -> AccessCase:
    return AccessCase(tmp_path)


@pytest.mark.parametrize("path", sorted(OPEN_PATHS))
def test_open_paths_need_no_session_and_no_token(case: AccessCase, path: str) -> None:
    assert case.decide(path) is Verdict.PASS


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/fleet", "/_nicegui_ws/socket.io/", "/healthz/", "/HEALTHZ", "/login/x"]
)
def test_other_paths_need_a_session_or_a_token(case: AccessCase, path: str) -> None:
    assert case.decide(path) is Verdict.LOG_IN


def test_session_opens_pages_and_api(case: AccessCase) -> None:
    assert case.decide("/", cookie=case.cookie) is Verdict.PASS
    assert case.decide("/api/v1/fleet", cookie=case.cookie) is Verdict.PASS


@pytest.mark.parametrize(
    "cookie", [f"{COOKIE}=wrong", f"{COOKIE}=", "other=1", "\x00;;=", f"{COOKIE}=\u00e4"]
)
def test_wrong_cookie_opens_nothing(case: AccessCase, cookie: str) -> None:
    assert case.decide("/", cookie=cookie) is Verdict.LOG_IN


def test_token_opens_the_api_and_no_page(case: AccessCase) -> None:
    assert case.decide("/api/v1/fleet", authorization=case.bearer) is Verdict.PASS
    assert case.decide("/", authorization=case.bearer) is Verdict.LOG_IN


@pytest.mark.parametrize(
    "authorization", ["Bearer wrong", "Bearer ", "Basic YTpi", "Bearer \u00e4"]
)
def test_wrong_token_opens_nothing(case: AccessCase, authorization: str) -> None:
    assert case.decide("/api/v1/fleet", authorization=authorization) is Verdict.LOG_IN


def test_wrong_token_is_refused_despite_a_session(case: AccessCase) -> None:
    headers = {"authorization": "Bearer wrong", "cookie": case.cookie}

    assert case.decide("/api/v1/operating-point", "PUT", **headers) is Verdict.LOG_IN


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "WEBSOCKET"])
@pytest.mark.parametrize(
    "origin", ["", "null", "http://evil.example", "http://127.0.0.1:9999", "http://[bad"]
)
def test_write_from_another_origin_is_refused_despite_a_session(
    case: AccessCase, method: str, origin: str
) -> None:
    headers = {"cookie": case.cookie} | ({"origin": origin} if origin else {})

    assert case.decide("/api/v1/operating-point", method, **headers) is Verdict.FOREIGN_ORIGIN


@pytest.mark.parametrize("method", ["PUT", "WEBSOCKET"])
def test_write_from_an_own_page_passes(case: AccessCase, method: str) -> None:
    assert case.decide("/x", method, cookie=case.cookie, origin=ORIGIN) is Verdict.PASS


def test_write_without_session_or_token_has_to_log_in(case: AccessCase) -> None:
    assert case.decide("/api/v1/operating-point", "PUT") is Verdict.LOG_IN
    assert case.decide("/logout", "POST") is Verdict.FOREIGN_ORIGIN


def test_token_needs_no_origin(case: AccessCase) -> None:
    verdict = case.decide("/api/v1/operating-point", "PUT", authorization=case.bearer)

    assert verdict is Verdict.PASS


def test_login_from_another_origin_is_refused(case: AccessCase) -> None:
    assert case.decide("/login", "POST", origin="http://evil.example") is Verdict.FOREIGN_ORIGIN


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "", "[bad", "10.0.0.1:8080"])
def test_foreign_host_name_is_refused_on_loopback(case: AccessCase, host: str) -> None:
    assert case.decide("/", host=host, cookie=case.cookie) is Verdict.FOREIGN_HOST


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1", "[::1]:8080"])
def test_any_name_and_port_of_loopback_passes(case: AccessCase, host: str) -> None:
    assert case.decide("/", host=host, cookie=case.cookie) is Verdict.PASS


def test_console_beyond_loopback_accepts_any_host_name(tmp_path: Path) -> None:
    case = AccessCase(tmp_path, local_only=False)

    assert case.decide("/", host="cloud.example", cookie=case.cookie) is Verdict.PASS


def test_decision_names_the_client(tmp_path: Path) -> None:
    case = AccessCase(tmp_path)
    by_token = RequestHead(
        path="/api/v1/fleet", method="GET", headers={"host": HOST, "authorization": case.bearer}
    )
    by_session = RequestHead(path="/", method="GET", headers={"host": HOST, "cookie": case.cookie})

    assert case.access.decide(by_token).by == "token script"
    assert case.access.decide(by_session).by == "console"
