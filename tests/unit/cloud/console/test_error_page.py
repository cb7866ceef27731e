import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from nestling_cloud.console.error_page import add_error_pages, error_page

HTML = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    add_error_pages(app)

    @app.get("/page")
    @app.get("/api/v1/figure")
    def fail() -> None:
        raise OSError("a path that is nobody's business")

    return TestClient(app, raise_server_exceptions=False)


def test_failure_of_a_page_is_a_page_that_tells_nothing_of_the_inside(client: TestClient) -> None:
    told = client.get("/page", headers=HTML)

    assert told.status_code == 500
    assert "what it logged tells why" in told.text
    assert '<a href="/">' in told.text
    assert "nobody" not in told.text


def test_failure_of_the_api_is_a_problem_object(client: TestClient) -> None:
    told = client.get("/api/v1/figure", headers=HTML)

    assert told.headers["content-type"] == "application/problem+json"
    assert told.json()["status"] == 500


def test_wrong_method_keeps_its_header(client: TestClient) -> None:
    assert client.post("/page", headers=HTML).headers["allow"] == "GET"


def test_text_of_an_error_is_escaped() -> None:
    page = error_page(403, "text/html", "<script>x</script>")

    assert b"<script>" not in page.body
