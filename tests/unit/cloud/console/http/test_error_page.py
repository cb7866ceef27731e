import asyncio

import httpx
from fastapi import FastAPI

from nestling_cloud.console.http.error_page import add_error_pages, error_page


def _ask(method: str, path: str) -> httpx.Response:
    app = FastAPI()
    add_error_pages(app)

    @app.get("/page")
    @app.get("/api/v1/figure")
    def fail() -> None:
        raise OSError("a path that is nobody's business")

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://console") as client:
            return await client.request(method, path, headers={"Accept": "text/html,*/*"})

    return asyncio.run(ask())


def test_failure_of_a_page_is_a_page_that_tells_nothing_of_the_inside() -> None:
    told = _ask("GET", "/page")

    assert told.status_code == 500
    assert "what it logged tells why" in told.text
    assert '<a href="/">' in told.text
    assert "nobody" not in told.text


def test_failure_of_the_api_is_a_problem_object() -> None:
    told = _ask("GET", "/api/v1/figure")

    assert told.headers["content-type"] == "application/problem+json"
    assert told.json()["status"] == 500


def test_wrong_method_keeps_its_header() -> None:
    assert _ask("POST", "/page").headers["allow"] == "GET"


def test_text_of_an_error_is_escaped() -> None:
    page = error_page(403, "text/html", "<script>x</script>")

    assert b"<script>" not in page.body
