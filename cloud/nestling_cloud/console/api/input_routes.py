"""Serves the inputs that devices sent to the cloud, and takes labels for them."""

import asyncio
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from nestling import topics
from nestling_cloud.bundles.repository_errors import RepositoryError
from nestling_cloud.console.api.input_schemas import InputMessage, InputsMessage, LabelMessage
from nestling_cloud.console.api.not_found import PREFIX
from nestling_cloud.console.api.parameters import Since
from nestling_cloud.console.api.problems import BODY_PROBLEM
from nestling_cloud.console.auth.guard import REQUESTED_BY
from nestling_cloud.console.data.console_data import ConsoleData
from nestling_cloud.console.http.problem import RequestError
from nestling_cloud.inputs.input_file import (
    MEDIA_TYPES,
    InputFileError,
    encode_input,
    input_values,
)
from nestling_cloud.inputs.released_labels import ReleasedLabels
from nestling_cloud.store.label import LabelError
from nestling_cloud.store.labeled_inputs import InputFilter, StoredInput
from nestling_core.clock import unix_ms

_LARGEST_ID = 2**53
InputId = Annotated[int, Path(ge=1, le=_LARGEST_ID, description="the id of a stored input")]
_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "a PNG if the input is a picture of 8-bit levels, otherwise a .npy file",
        "content": {kind: {"schema": {"type": "string"}} for kind in MEDIA_TYPES.values()},
    }
}


class InputRoutes:
    """Implements the routes of stored inputs.

    Args:
        parts: the sources of the figures, shared with the pages.
    """

    def __init__(self, parts: ConsoleData) -> None:
        self._parts = parts

    def add_to(self, router: APIRouter) -> None:
        """Add the routes to the API's router."""
        router.get("/inputs", summary="Stored inputs, newest first")(self._page)
        router.get("/inputs/{number}", summary="One stored input")(self._one)
        router.get(
            "/inputs/{number}/content",
            summary="The values of a stored input",
            responses=_CONTENT,
            response_class=Response,
        )(self._content)
        router.get("/inputs/{number}/label", summary="A stored input, with its label")(self._one)
        router.put(
            "/inputs/{number}/label", summary="Label a stored input", responses=BODY_PROBLEM
        )(self._label)
        router.delete("/inputs/{number}/label", summary="Remove the label of a stored input")(
            self._unlabel
        )

    async def _page(
        self,
        device: Annotated[str | None, Query(pattern=f"^{topics.DEVICE_ID_PATTERN}$")] = None,
        task: Annotated[str | None, Query(max_length=64)] = None,
        *,
        labeled: Annotated[bool | None, Query(description="with or without a label")] = None,
        since_ms: Since = None,
        until_ms: Since = None,
        before: Annotated[int | None, Query(ge=1, le=_LARGEST_ID)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> InputsMessage:
        chosen = InputFilter(
            device=device, task=task, labeled=labeled, since_ms=since_ms, until_ms=until_ms
        )
        released = await self._released()
        inputs, following = await asyncio.to_thread(
            partial(self._parts.inputs.page, chosen, limit=limit, before=before)
        )
        messages = [InputMessage.of(one, released) for one in inputs]
        return InputsMessage(inputs=messages, next=following)

    async def _one(self, number: InputId) -> InputMessage:
        return InputMessage.of(await self._find(number), await self._released())

    async def _content(self, number: InputId) -> Response:
        one = await self._find(number)
        values = await asyncio.to_thread(self._parts.inputs.values, number)
        if values is None:
            raise no_such_input(number)
        try:
            suffix, content = encode_input(input_values(values, one.shape))
        except InputFileError as err:
            raise RequestError(
                HTTPStatus.INTERNAL_SERVER_ERROR, f"input {number} is damaged: {err}"
            ) from err
        headers = {"Content-Disposition": f'inline; filename="{one.device}-{number}{suffix}"'}
        return Response(content, media_type=MEDIA_TYPES[suffix], headers=headers)

    async def _label(self, request: Request, number: InputId, body: LabelMessage) -> InputMessage:
        one, released = await self._find(number), await self._released()
        try:
            label = released.check(one, body.label)
        except LabelError as err:
            raise RequestError(HTTPStatus.UNPROCESSABLE_ENTITY, str(err)) from err
        by = request.scope[REQUESTED_BY]
        changed = await asyncio.to_thread(
            partial(self._parts.inputs.label, number, label, by=by, now_ms=unix_ms())
        )
        return _message(number, changed, released)

    async def _unlabel(self, number: InputId) -> InputMessage:
        changed = await asyncio.to_thread(self._parts.inputs.unlabel, number)
        return _message(number, changed, await self._released())

    async def _find(self, number: int) -> StoredInput:
        found = await asyncio.to_thread(self._parts.inputs.find, number)
        if found is None:
            raise no_such_input(number)
        return found

    async def _released(self) -> ReleasedLabels:
        try:
            manifest = await asyncio.to_thread(self._parts.repository.manifest)
        except RepositoryError as err:
            raise RequestError(
                HTTPStatus.INTERNAL_SERVER_ERROR, f"no label is known: {err}"
            ) from err
        return ReleasedLabels.of(manifest)


def _message(number: int, changed: StoredInput | None, released: ReleasedLabels) -> InputMessage:
    if changed is None:  # deleted since
        raise no_such_input(number)
    return InputMessage.of(changed, released)


def no_such_input(number: int) -> RequestError:
    """Return the error for an input that is not stored, or is no longer stored."""
    return RequestError(
        HTTPStatus.NOT_FOUND, f"no input {number}; {PREFIX}/inputs lists all stored inputs"
    )
