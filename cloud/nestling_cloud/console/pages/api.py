"""The page that tells what the API answers."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI, Request

from nestling_cloud.console.data.console_data import ConsoleData
from nestling_cloud.console.data.table import table
from nestling_cloud.console.pages.frame import frame, heading
from nestling_cloud.console.pages.markup import Grid, Text, block, link

_LIVE_S = 2.0


async def show(request: Request, app: FastAPI, parts: ConsoleData) -> None:
    """Build the page from the OpenAPI description."""
    base = str(request.base_url).rstrip("/")
    with frame(request, "/api", parts.condition.of_fleet) as banner:
        with heading("API") as sub:
            sub.say("The same figures for programs, as JSON and CSV.")
        with block("section", "panel spaced", aria_label="Token"):
            Text("h2", "A token lets a program in")
            with block("pre"):
                Text(
                    "code",
                    "TOKEN=$(nestling-cloud console token add my-script)\n"
                    f'curl -H "Authorization: Bearer $TOKEN" {base}/api/v1/fleet',
                )
            link("OpenAPI description", "/api/v1/openapi.json")
        with block("section", "panel", aria_label="Addresses"):
            Text("h2", "Addresses")
            with block("div", "scroll tall", tabindex="0", role="region", aria_label="Addresses"):
                columns = [("method", "method"), ("path", "path"), ("what", "what")]
                shown = table(columns, _routes(app.openapi()))
                Grid("Addresses").show(shown)
    await banner.keep_fresh(None, every_s=_LIVE_S)


def _routes(described: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for path, methods in described["paths"].items():
        for method, told in methods.items():
            yield method.upper(), path, told.get("summary", "")
