"""Builds the page that describes the REST API."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI, Request

from nestling_cloud.console.data.console_data import ConsoleData
from nestling_cloud.console.data.table import table
from nestling_cloud.console.pages.frame import frame, heading
from nestling_cloud.console.pages.markup import Grid, Text, block, link

_LIVE_S = 2.0


async def show(request: Request, app: FastAPI, parts: ConsoleData) -> None:
    """Build the page from the OpenAPI description.

    Args:
        request: the request for the page.
        app: the application whose API to describe.
        parts: the sources of the figures.
    """
    base = str(request.base_url).rstrip("/")
    with frame(request, "/api", parts.health.of_fleet) as banner:
        with heading("API") as sub:
            sub.show("The figures of these pages for programs, as JSON and CSV.")
        with block("section", "panel spaced", aria_label="Token"):
            Text("h2", "Create a token for a program")
            with block("pre"):
                Text(
                    "code",
                    "TOKEN=$(nestling-cloud console token add my-script)\n"
                    f'curl -H "Authorization: Bearer $TOKEN" {base}/api/v1/fleet',
                )
            link("OpenAPI description", "/api/v1/openapi.json")
        with block("section", "panel", aria_label="Endpoints"):
            Text("h2", "Endpoints")
            with block("div", "scroll tall", tabindex="0", role="region", aria_label="Endpoints"):
                columns = [("method", "method"), ("path", "path"), ("summary", "summary")]
                Grid("Endpoints").show(table(columns, _routes(app.openapi())))
    await banner.keep_fresh(None, every_s=_LIVE_S)


def _routes(description: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation.get("summary", "")
