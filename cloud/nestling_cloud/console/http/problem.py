"""Answers failed requests of the API with problem objects (RFC 9457).

A problem object says what is wrong and what to do.
"""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from nestling_cloud.errors import CloudError

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """The body of every error response of the API, a problem object (RFC 9457).

    Attributes:
        type: always "about:blank", since the HTTP status identifies the problem.
        title: the phrase of the HTTP status, such as "Not Found".
        status: the HTTP status.
        detail: a message that says what is wrong and what to do.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str


class RequestError(CloudError):
    """Raised when a request cannot be answered.

    Args:
        status: the HTTP status.
        detail: a message that says what is wrong and what to do.
        headers: further HTTP headers of the response.
    """

    def __init__(
        self, status: HTTPStatus, detail: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return a problem object as the response to a failed request.

    Args:
        status: the HTTP status.
        detail: a message that says what is wrong and what to do.
        headers: further HTTP headers of the response.
    """
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail)
    return JSONResponse(body.model_dump(), status, headers, media_type=MEDIA_TYPE)


def add_problem_handlers(app: FastAPI) -> None:
    """Make an app answer RequestError and invalid parameters with problem objects."""

    async def request_error(_: Request, err: Exception) -> JSONResponse:
        assert isinstance(err, RequestError)
        return problem(err.status, str(err), err.headers)

    async def validation_error(_: Request, err: Exception) -> JSONResponse:
        assert isinstance(err, RequestValidationError)
        faults = "; ".join(map(_fault, err.errors()))
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{faults}; see /api/v1/openapi.json")

    app.add_exception_handler(RequestError, request_error)
    app.add_exception_handler(RequestValidationError, validation_error)


def _fault(entry: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in entry["loc"][1:])
    return f"{place}: {entry['msg']}" if place else str(entry["msg"])
