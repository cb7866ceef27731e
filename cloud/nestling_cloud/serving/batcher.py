"""Runs requests that arrive close together as one batch."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.cloud_model.model import MAX_BATCH

Rows = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    rows: Rows
    answer: asyncio.Future[Rows]
    since_s: float


class Batcher:
    """Runs the rows (inputs) of several callers as one batch.

    Batches run one at a time, in a separate thread. Each caller gets the output for its own rows.
    At the end of the `async with` block, the calls that are still waiting are cancelled.

    Attributes:
        max_batch: the largest number of rows in one batch.

    Args:
        run: a function that returns N output rows for input rows of the shape `(N, ...)`.
        max_batch: the largest number of rows in one batch, and so in one request.
        max_delay_ms: the longest time that the first request of a batch waits for other requests.
    """

    def __init__(
        self, run: Callable[[Rows], Rows], *, max_batch: int = MAX_BATCH, max_delay_ms: float = 2.0
    ) -> None:
        self._run = run
        self.max_batch = max_batch
        self._max_delay_s = max_delay_ms / 1e3
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="inference")
        self._pending: set[asyncio.Future[Rows]] = set()
        self._worker: asyncio.Task[None] | None = None
        self._left_over: _Waiting | None = None

    async def __aenter__(self) -> Self:
        self._worker = asyncio.create_task(self._work(), name="batcher")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        for answer in list(self._pending):
            answer.cancel()
        self._executor.shutdown()

    async def submit(self, rows: Rows) -> Rows:
        """Return the output for rows, which may run in one batch with other callers' rows.

        Args:
            rows: the input rows of the shape `(N, ...)`, with N from 1 to `max_batch`.

        Returns:
            The output for these rows, of the shape `(N, ...)`.

        Raises:
            ValueError: there are no rows, or more than `max_batch`.
            Exception: `run` raised this error for the batch with these rows.
        """
        if not 1 <= len(rows) <= self.max_batch:
            raise ValueError(f"submit 1 to {self.max_batch} rows at once, not {len(rows)}")
        loop = asyncio.get_running_loop()
        waiting = _Waiting(rows=rows, answer=loop.create_future(), since_s=loop.time())
        self._pending.add(waiting.answer)
        waiting.answer.add_done_callback(self._pending.discard)
        self._queue.put_nowait(waiting)
        return await waiting.answer

    async def _work(self) -> None:
        while True:
            batch = await self._collect()
            await self._answer([entry for entry in batch if not entry.answer.done()])

    async def _collect(self) -> list[_Waiting]:
        first = self._left_over or await self._queue.get()
        self._left_over = None
        batch, size = [first], len(first.rows)
        deadline_s = first.since_s + self._max_delay_s
        while size < self.max_batch:
            entry = await self._next(deadline_s)
            if entry is None:
                break
            if size + len(entry.rows) > self.max_batch:
                self._left_over = entry
                break
            batch.append(entry)
            size += len(entry.rows)
        return batch

    async def _next(self, deadline_s: float) -> _Waiting | None:
        """Return the next request, or None if no request arrives before the deadline.

        A request in the queue is returned even after the deadline.
        """
        if not self._queue.empty():
            return self._queue.get_nowait()
        try:
            async with asyncio.timeout_at(deadline_s):
                return await self._queue.get()
        except TimeoutError:
            return None

    async def _answer(self, batch: list[_Waiting]) -> None:
        if not batch:
            return
        loop = asyncio.get_running_loop()
        try:
            rows = np.concatenate([entry.rows for entry in batch])
            answers = await loop.run_in_executor(self._executor, self._run, rows)
        except Exception as err:  # noqa: BLE001  passed on to the callers
            for entry in batch:
                if not entry.answer.done():
                    entry.answer.set_exception(err)
            return
        ends = np.cumsum([len(entry.rows) for entry in batch])
        for entry, end in zip(batch, ends, strict=True):
            if not entry.answer.done():
                entry.answer.set_result(answers[end - len(entry.rows) : end])
