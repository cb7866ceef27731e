"""Closes connections on which the client does not complete a request in time.

uvicorn itself does not limit how long it waits for a request.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Any

# Most time from the connection, or the previous response, to the end of a request and its body.
_DEADLINE_S = 10.0
_POLL_S = 1.0


async def close_overdue_connections(connections: Callable[[], Collection[Any]]) -> None:
    """Close every connection that misses the deadline, and run until cancelled.

    A client must send a complete request within 10 s after it connected, or after the previous
    response ended.

    Args:
        connections: a function that returns uvicorn's protocol objects, one for each connection.
            Websockets are ignored, because no requests follow on them.
    """
    since: dict[tuple[Any, Any], float] = {}
    while True:
        await asyncio.sleep(_POLL_S)
        now_s = asyncio.get_running_loop().time()
        # The key includes the request, so that the next one on a connection has its own deadline.
        waiting = [(each, each.cycle) for each in connections() if _awaits_client(each)]
        since = {entry: since.get(entry, now_s) for entry in waiting}
        for (connection, _), since_s in since.items():
            if now_s - since_s >= _DEADLINE_S:
                connection.transport.abort()


def _awaits_client(connection: Any) -> bool:
    if not hasattr(connection, "cycle"):
        return False
    cycle = connection.cycle
    return cycle is None or cycle.response_complete or cycle.more_body
