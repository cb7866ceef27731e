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
        raise OSError("a secret path")

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://console") as client:
            return await client.request(method, path, headers={"Accept": "text/html,*/*"})

    return asyncio.run(ask())


def test_failed_page_answers_with_a_page_that_hides_the_error() -> None:
    response = _ask("GET", "/page")

    assert response.status_code == 500
    assert "see its log for the reason" in response.text
    assert '<a href="/">' in response.text
    assert "secret" not in response.text


def test_failed_api_request_answers_with_a_problem_object() -> None:
    response = _ask("GET", "/api/v1/figure")

    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == 500


def test_wrong_method_answers_with_the_allow_header() -> None:
    assert _ask("POST", "/page").headers["allow"] == "GET"


def test_text_of_an_error_is_escaped() -> None:
    page = error_page(403, "text/html", "<script>x</script>")

    assert b"<script>" not in page.body
