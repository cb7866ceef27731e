"""Describes the errors that every route of the API may answer with."""

from typing import Any

from nestling_cloud.console.http.problem import Problem

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": description}
    for status, description in (
        (401, "missing or wrong token"),
        (403, "request from another site's page, or under a name that is not this machine's"),
        (404, "no such device, chart, input or address"),
        (405, "method not allowed; the Allow header lists the allowed methods"),
        (422, "invalid parameter or body"),
        (500, "the cloud could not answer; see its log for the reason"),
    )
}
BODY_PROBLEM: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "the body is not JSON"}
}
