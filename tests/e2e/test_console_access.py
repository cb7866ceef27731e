"""Access control of the console and the API, on a real cloud."""

import http.client
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.routing import BaseRoute, Mount, Route

from nestling_cloud import cli
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.console.app import routes
from nestling_cloud.console.auth.login import Login
from nestling_cloud.console.auth.password import PasswordFile
from nestling_cloud.console.auth.sessions import COOKIE, Sessions
from nestling_cloud.console.auth.throttle import FREE_FAILURES, LoginThrottle
from nestling_cloud.console.data.console_data import console_parts, device_start
from nestling_cloud.console.data.stored_rounds import StoredRounds
from nestling_cloud.federated.round_log import RoundLog
from nestling_cloud.store.store import Store
from nestling_cloud.telemetry.ingest_status import IngestStatus
from tests.support.cloud_process import Cloud, StartCloud
from tests.support.processes import DEADLINE_S

UPLINK = IngestStatus(broker="127.0.0.1:1883", connected=True)
OPEN = {"GET /healthz", "GET /login", "POST /login", "GET /login.css", "GET /favicon.ico"}
SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def cloud(start_cloud: StartCloud, state: Path) -> Cloud:
    return start_cloud("--console-port", "0", "--state", str(state))


@pytest.fixture
def client(cloud: Cloud) -> Iterator[httpx.Client]:
    """Make an HTTP client that keeps cookies and sends an Origin header, like a browser."""
    headers = {"Origin": cloud.console}
    with httpx.Client(base_url=cloud.console, headers=headers, timeout=DEADLINE_S) as made:
        yield made


def _log_in(client: httpx.Client, password: str) -> httpx.Response:
    return client.post("/login", data={"password": password, "next": "/"})


def _handshake(cloud: Cloud, **headers: str) -> int:
    """Request the pages' websocket and return the status."""
    connection = http.client.HTTPConnection(urlsplit(cloud.console).netloc, timeout=DEADLINE_S)
    asked = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    try:
        connection.request("GET", SOCKET, headers=asked | headers)
        return connection.getresponse().status
    finally:
        connection.close()


def _every_route(released: Path, tmp_path: Path) -> list[tuple[str, str]]:
    """Return the method and path of every route of the application."""
    url = f"sqlite:///{tmp_path / 'routes.sqlite'}"
    with Store(url) as store, RoundLog(url) as log:
        start = device_start(grpc="", broker="", enrolment=None)
        parts = console_parts(
            Repository(released),
            store,
            StoredRounds(log),
            start,
            uplink=lambda: UPLINK,
            served=lambda: (),
        )
        password = PasswordFile(tmp_path)
        sessions, throttle = Sessions(time.monotonic, password.mark), LoginThrottle(time.monotonic)
        app = routes(parts, Login(password, sessions, throttle, secure=False))
        return sorted(set(_walk(app.routes, "")))


def _walk(found: list[BaseRoute], prefix: str) -> Iterator[tuple[str, str]]:
    for route in found:
        if isinstance(route, Mount):
            below = prefix + route.path
            inner = list(getattr(route.app, "routes", []))
            yield from _walk(inner, below)
            if not inner:  # static files, socket.io
                yield from ((method, f"{below}/x") for method in ("GET", "POST"))
        elif (included := getattr(route, "original_router", None)) is not None:
            yield from _walk(included.routes, prefix)
        else:
            assert isinstance(route, Route)
            path = re.sub(r"\{[^}]+\}", "x", prefix + route.path)
            yield from ((method, path) for method in route.methods or {"GET"})


def test_no_route_answers_without_session_or_token(
    cloud: Cloud, client: httpx.Client, released: Path, tmp_path: Path
) -> None:
    asked = _every_route(released, tmp_path)
    assert {path for _, path in asked} >= {
        "/",
        "/devices/x",
        "/api/v1/fleet",
        "/api/v1/openapi.json",
        "/_nicegui_ws/x",
        "/logout",
    }
    answered = {
        f"{method} {path}"
        for method, path in [*asked, ("GET", "/docs"), ("GET", "/_nicegui_ws/socket.io/?EIO=4")]
        for status in [client.request(method, path).status_code]
        if status not in (401, 303)
    }

    assert answered == OPEN - {"POST /login"}  # it answers a wrong password with 401
    assert _handshake(cloud, Origin=cloud.console) == 403


def test_head_is_answered_like_get(client: httpx.Client, cloud: Cloud) -> None:
    guarded = ("/", "/models", "/api/v1/fleet", "/api/v1/receipts.csv")
    assert {client.head(path).status_code for path in guarded} == {401}
    _log_in(client, cloud.password)

    for path in ("/healthz", "/login", "/login.css", "/favicon.ico", *guarded):
        head, get = client.head(path), client.get(path)
        assert (head.status_code, head.content) == (200, b""), path
        assert head.headers["content-type"] == get.headers["content-type"]


def test_error_page_links_back_to_the_console(client: httpx.Client, cloud: Cloud) -> None:
    _log_in(client, cloud.password)
    missing, not_allowed = "There is no page at this address.", "not answer that kind of request"
    expected = {
        ("GET", "/no-such-page"): (404, missing),
        ("GET", "/devices/a/b"): (404, missing),
        ("GET", "/_nicegui/no-such"): (404, missing),
        ("DELETE", "/models"): (405, not_allowed),
    }

    for (method, path), (status, message) in expected.items():
        page = client.request(method, path, headers={"Accept": "text/html"})
        assert page.status_code == status, path
        assert page.headers["content-type"].startswith("text/html")
        assert message in page.text
        assert '<link rel="stylesheet" href="/login.css">' in page.text
        assert '<a href="/">' in page.text
        assert client.request(method, path).headers["content-type"].startswith("text/plain")


def test_page_redirects_to_the_login_and_back(client: httpx.Client, cloud: Cloud) -> None:
    sent_away = client.get("/models", headers={"Accept": "text/html"})

    assert (sent_away.status_code, sent_away.headers["location"]) == (303, "/login?next=/models")
    back = client.post("/login", data={"password": cloud.password, "next": "/models"})
    assert (back.status_code, back.headers["location"]) == (303, "/models")


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil", "/login"])
def test_login_redirects_only_to_pages_of_the_console(
    client: httpx.Client, cloud: Cloud, target: str
) -> None:
    back = client.post("/login", data={"password": cloud.password, "next": target})

    assert back.headers["location"] == "/"


def test_session_opens_everything_until_logout(client: httpx.Client, cloud: Cloud) -> None:
    cookie = _log_in(client, cloud.password).headers["set-cookie"]

    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert client.get("/api/v1/fleet").status_code == 200
    key = f"{COOKIE}={client.cookies[COOKIE]}"
    assert _handshake(cloud, Origin=cloud.console, Cookie=key) == 101
    assert _handshake(cloud, Origin="http://evil.example", Cookie=key) == 403
    assert client.post("/logout").status_code == 303
    client.cookies.set(COOKIE, key.partition("=")[2])  # as if the cookie had been copied
    assert client.get("/api/v1/fleet").status_code == 401
    assert _handshake(cloud, Origin=cloud.console, Cookie=key) == 403


def test_pages_have_strict_headers(client: httpx.Client, cloud: Cloud) -> None:
    _log_in(client, cloud.password)

    headers = client.get("/").headers

    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


def test_wrong_passwords_are_throttled(client: httpx.Client, cloud: Cloud) -> None:
    wrong = [_log_in(client, "wrong") for _ in range(FREE_FAILURES)]

    refused = _log_in(client, cloud.password)

    assert {response.status_code for response in wrong} == {401}
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert "Try again in" in refused.text
    assert cloud.password not in cloud.log.read_text()


def test_oversized_login_form_is_rejected(client: httpx.Client) -> None:
    assert client.post("/login", content=b"password=" + b"x" * 1_000_000).status_code == 401


def test_new_password_ends_sessions_at_once(
    client: httpx.Client, cloud: Cloud, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _log_in(client, cloud.password)

    assert cli.main(["console", "password", "--state", str(state)]) == 0
    password = capsys.readouterr().out.strip()

    assert client.get("/api/v1/fleet").status_code == 401
    assert _log_in(client, cloud.password).status_code == 401
    assert _log_in(client, password).status_code == 303


def test_token_opens_the_api_until_it_is_removed(
    cloud: Cloud, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["console", "token", "add", "script", "--state", str(state)]) == 0
    token = capsys.readouterr().out.strip()
    headers = {"Authorization": f"Bearer {token}"}

    assert httpx.get(f"{cloud.console}/api/v1/fleet", headers=headers).status_code == 200
    assert cli.main(["console", "token", "list", "--state", str(state)]) == 0
    assert capsys.readouterr().out.startswith("script  added 2")
    assert cli.main(["console", "token", "remove", "script", "--state", str(state)]) == 0
    refused = httpx.get(f"{cloud.console}/api/v1/fleet", headers=headers)
    assert refused.status_code == 401
    assert "console token add" in refused.json()["detail"]
    assert cli.main(["console", "token", "remove", "script", "--state", str(state)]) == 1
    assert "no token 'script'" in capsys.readouterr().err


def test_password_is_shown_at_the_first_start_only(
    start_cloud: StartCloud, cloud: Cloud, state: Path
) -> None:
    assert cloud.password
    assert cloud.stop() == 0

    assert start_cloud("--console-port", "0", "--state", str(state)).password == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_a_cloud_whose_console_is_in_use(
    cloud: Cloud, client: httpx.Client, number: signal.Signals
) -> None:
    _log_in(client, cloud.password)
    client.get("/")  # leaves its connection open

    assert cloud.stop(number) == 0
    assert "Traceback" not in cloud.log.read_text()


def test_foreign_host_header_is_rejected(cloud: Cloud) -> None:
    refused = httpx.get(f"{cloud.console}/healthz", headers={"Host": "evil.example"})

    assert refused.status_code == 403
    assert "localhost" in refused.text
    headers = {"Host": "evil.example", "Accept": "text/html"}
    page = httpx.get(f"{cloud.console}/healthz", headers=headers)
    assert "login.css" in page.text
    assert "localhost" in page.text
