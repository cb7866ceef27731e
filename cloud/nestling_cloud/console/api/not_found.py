"""Creates the errors for unknown addresses, unknown devices and methods that are not allowed."""

from collections.abc import Iterable
from http import HTTPStatus

from fastapi import Request
from starlette.routing import Match, Route

from nestling_cloud.console.http.problem import RequestError

PREFIX = "/api/v1"


def no_such_device(device: str) -> RequestError:
    """Return the error for a device that has never reported."""
    return RequestError(
        HTTPStatus.NOT_FOUND, f"no device {device!r}; {PREFIX}/devices lists all devices"
    )


def no_such_route(request: Request, routes: Iterable[Route]) -> RequestError:
    """Return the error for a request that no route answers.

    The status is 405 if the address exists but does not allow the method, otherwise 404.

    Args:
        request: the unanswered request.
        routes: all routes of the API.
    """
    matching = (route for route in routes if route.matches(request.scope)[0] is Match.PARTIAL)
    methods = sorted({method for route in matching for method in route.methods or ()})
    if methods:
        allowed = ", ".join(methods)
        return RequestError(
            HTTPStatus.METHOD_NOT_ALLOWED,
            f"{request.method} is not allowed at this address; allowed: {allowed}",
            {"Allow": allowed},
        )
    return RequestError(
        HTTPStatus.NOT_FOUND, f"no such address; {PREFIX}/openapi.json lists all addresses"
    )
