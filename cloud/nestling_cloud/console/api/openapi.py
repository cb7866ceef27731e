"""Corrects the OpenAPI description that FastAPI generates for the API.

FastAPI cannot know the formats of the API's errors and CSV responses.
"""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from nestling_cloud.console.http.problem import MEDIA_TYPE

_PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_CSV = {"text/csv": {"schema": {"type": "string"}}}
# FastAPI's schemas for an invalid request; our problem objects replace them.
_UNUSED = ("HTTPValidationError", "ValidationError")


def correct_openapi(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI description with the formats of errors and CSV responses corrected.

    Every error is described as a problem object, and every path that ends in .csv as CSV. The
    bearer token that requests need is added to the description.

    Args:
        description: the OpenAPI description that FastAPI generated.

    Returns:
        The corrected description; the argument is not changed.
    """
    components = dict(description.get("components", {}))
    schemas = components.get("schemas", {})
    components["schemas"] = {name: schemas[name] for name in schemas if name not in _UNUSED}
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    paths = {
        path: {method: _operation(path, operation) for method, operation in methods.items()}
        for path, methods in description["paths"].items()
    }
    return {**description, "paths": paths, "components": components, "security": [{"token": []}]}


def _operation(path: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    return {**operation, "responses": dict(_responses(path, operation["responses"]))}


def _responses(path: str, responses: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for status, response in responses.items():
        if int(status) >= HTTPStatus.BAD_REQUEST:
            yield status, {**response, "content": _PROBLEM}
        elif path.endswith(".csv"):
            yield status, {**response, "content": _CSV}
        else:
            yield status, response
