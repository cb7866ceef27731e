"""Runs asyncio coroutines in the background of a block of code, and waits for asyncio events."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Coroutine, Sequence

# A cancelled task may take this long to disconnect from the broker.
_CANCEL_AGAIN_S = 2.0


@contextlib.asynccontextmanager
async def running(works: Sequence[Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """Run coroutines in the background of an `async with` block, and cancel them when it ends.

    An error in a coroutine cancels the block and the other coroutines. An error in the block
    cancels all coroutines.

    Args:
        works: the coroutines.

    Raises:
        Exception: a coroutine or the block failed; the first error is raised.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
            try:
                yield
            finally:
                await _cancel(tasks)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors


async def wait_for(events: Collection[asyncio.Event], *, timeout_s: float) -> None:
    """Wait until all events are set or the time limit is reached.

    The function does not report which of the two happened.

    Args:
        events: the events to wait for.
        timeout_s: the longest time to wait for all of the events together, in seconds.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            for event in events:
                await event.wait()


async def _cancel(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel tasks every `_CANCEL_AGAIN_S` seconds until they end.

    A single cancellation is not enough: in Python 3.11, `asyncio.wait_for`, which aiomqtt uses,
    loses a cancellation that arrives together with the result of the call.
    """
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=_CANCEL_AGAIN_S)
