"""Work that goes on beside a body, and ends with it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Coroutine, Sequence

# A task that was told to end may say goodbye to the broker for so long.
_CANCEL_AGAIN_S = 2.0


@contextlib.asynccontextmanager
async def running(works: Sequence[Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """Run some work beside the body; the first error ends all of it and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
            try:
                yield
            finally:
                await _cancel(tasks, again_after_s=_CANCEL_AGAIN_S)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors


async def wait_for(events: Collection[asyncio.Event], *, timeout_s: float) -> None:
    """Wait for all events, but not for ever."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            for event in events:
                await event.wait()


async def _cancel(tasks: Collection[asyncio.Task[None]], *, again_after_s: float) -> None:
    """Cancel tasks until they end.

    Once is not enough: `asyncio.wait_for` of Python 3.11, which aiomqtt waits with, loses a
    cancellation that comes in the same moment as what it waits for.
    """
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=again_after_s)
