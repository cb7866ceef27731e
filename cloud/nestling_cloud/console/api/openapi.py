"""The API's description in OpenAPI, put right where FastAPI cannot know: errors and CSV."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from nestling_cloud.console.http.problem import MEDIA_TYPE

_PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_CSV = {"text/csv": {"schema": {"type": "string"}}}
# FastAPI's own words for a request that makes no sense, which ours take the place of.
_UNUSED = ("HTTPValidationError", "ValidationError")


def put_right(described: Mapping[str, Any]) -> dict[str, Any]:
    """Describe every error as a problem object, and what ends in .csv as CSV.

    Args:
        described: what FastAPI made of the routes.

    Returns:
        The description to publish; what was given is left as it was.
    """
    components = dict(described.get("components", {}))
    schemas = components.get("schemas", {})
    components["schemas"] = {name: schemas[name] for name in schemas if name not in _UNUSED}
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    paths = {
        path: {method: _operation(path, told) for method, told in methods.items()}
        for path, methods in described["paths"].items()
    }
    return {**described, "paths": paths, "components": components, "security": [{"token": []}]}


def _operation(path: str, told: Mapping[str, Any]) -> dict[str, Any]:
    return {**told, "responses": dict(_responses(path, told["responses"]))}


def _responses(path: str, responses: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for status, told in responses.items():
        if int(status) >= HTTPStatus.BAD_REQUEST:
            yield status, {**told, "content": _PROBLEM}
        elif path.endswith(".csv"):
            yield status, {**told, "content": _CSV}
        else:
            yield status, told
