"""Hangs up on whoever connects to the console and never ends a request.

uvicorn waits for ever for the first request, for the end of one that has begun, and for a body.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Any

# From the connection, or the answer before, to the end of a request and its body.
_DEADLINE_S = 10.0
_LOOK_EVERY_S = 1.0


async def hang_up_on_dawdlers(connections: Callable[[], Collection[Any]]) -> None:
    """End connections that are behind their deadline, until cancelled.

    Args:
        connections: gives uvicorn's protocols; those of websockets, which have no requests, are
            left alone.
    """
    since: dict[tuple[Any, Any], float] = {}
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        now_s = asyncio.get_running_loop().time()
        # By the request as well: another one has time of its own.
        waiting = [(each, each.cycle) for each in connections() if _is_waited_for(each)]
        since = {entry: since.get(entry, now_s) for entry in waiting}
        for (connection, _), waited_since_s in since.items():
            if now_s - waited_since_s >= _DEADLINE_S:
                connection.transport.abort()


def _is_waited_for(connection: Any) -> bool:
    """Whether it is the peer's turn."""
    if not hasattr(connection, "cycle"):
        return False
    cycle = connection.cycle
    return cycle is None or cycle.response_complete or cycle.more_body
