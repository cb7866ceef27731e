"""Runs the inputs of several requests as one batch.

If the model is idle, a request runs at once. Requests that arrive during a run wait, and run
together.
"""

import asyncio
import math
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.cloud_model.model import MAX_BATCH
from nestling_cloud.errors import CloudError
from nestling_cloud.serving.request_queue import MOST_ROWS, RequestQueue, Waiting
from nestling_cloud.serving.run_times import RunTimes

Rows = NDArray[np.float32]
# More threads than this share one process's lock for too long.
_MOST_THREADS = 8
# Part of a caller's patience that is used; the rest is left for the answer's way back.
_USABLE = 0.9


class OverloadedError(CloudError):
    """Raised when a request is refused.

    The answer would come too late, the queue is full, or the batcher is being closed.

    Attributes:
        retry_s: the time after which to try again, in seconds.
    """

    def __init__(self, retry_s: float) -> None:
        super().__init__(f"too many requests wait for this model; try again in {retry_s:.2f} s")
        self.retry_s = retry_s


@dataclass(kw_only=True)
class Statistics:
    """Counts and times of a model's requests and runs since its batcher was created.

    Attributes:
        answered: the number of answered requests.
        refused: the number of requests that were refused because their answers would have come too
            late, or because the queue was full.
        late: the number of requests that were refused after they had waited too long.
        failed: the number of requests for which the model failed.
        runs: the number of runs that succeeded.
        rows: the number of rows in these runs.
        run_s: the total time of these runs.
        wait_s: the total time that requests waited for the start of a run, failed runs included.
    """

    answered: int = 0
    refused: int = 0
    late: int = 0
    failed: int = 0
    runs: int = 0
    rows: int = 0
    run_s: float = 0.0
    wait_s: float = 0.0


@dataclass(frozen=True, eq=False, kw_only=True)
class _Request:
    rows: Rows
    answer: asyncio.Future[Rows]
    since_s: float


def default_threads() -> int:
    """Return the number of threads that run a model: one for each usable core, but at most 8."""
    return min(_MOST_THREADS, len(os.sched_getaffinity(0)))


def _deadline_s(now_s: float, timeout_s: float | None) -> float:
    return math.inf if timeout_s is None else now_s + _USABLE * timeout_s


class Batcher:
    """Runs the rows (inputs) of several callers together.

    Several batches run at the same time, each in a thread. Each caller gets the output for its own
    rows. At the end of the `async with` block, the calls that are still waiting are refused.

    Attributes:
        max_batch: the largest number of rows in one batch, and so in one request.
        statistics: the counts and times of requests and runs so far.

    Args:
        run: a function that returns N output rows for input rows of the shape `(N, ...)`. Several
            threads call it.
        max_batch: the largest number of rows in one batch.
        threads: the number of runs at the same time; None for `default_threads`.
        most_rows: the most rows that may wait.
    """

    def __init__(
        self,
        run: Callable[[Rows], Rows],
        *,
        max_batch: int = MAX_BATCH,
        threads: int | None = None,
        most_rows: int = MOST_ROWS,
    ) -> None:
        self._run = run
        self.max_batch = max_batch
        self._threads = threads or default_threads()
        self.statistics = Statistics()
        self._queue = RequestQueue[_Request](
            max_batch=max_batch, runners=self._threads, most_rows=most_rows
        )
        self._times = RunTimes()
        self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix="inference")
        # Each with the time at which it is expected to end.
        self._running: dict[asyncio.Future[tuple[Rows, float]], float] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Refuse the calls that are still waiting, and wait for the runs that have begun."""
        for entry in self._queue.clear():
            self._refuse(entry)
        await self.drain()

    async def drain(self) -> None:
        """Wait until all calls are answered, and end the threads. No further call may follow."""
        while self._running:
            await asyncio.wait(self._running)
        self._executor.shutdown()

    def check(self, *, device: str = "", timeout_s: float | None = None) -> None:
        """Raise OverloadedError if not even one row would be answered in time.

        This is cheaper than decoding a request first.

        Args:
            device: the device that sent the request.
            timeout_s: the longest time until the answer; None for no limit.
        """
        now_s = asyncio.get_running_loop().time()
        entry = Waiting(item=None, rows=1, device=device, deadline_s=_deadline_s(now_s, timeout_s))
        free_in_s = self._free_in_s(now_s)
        if self._queue.is_late(entry, self._times, now_s=now_s, free_in_s=free_in_s):
            self.statistics.refused += 1
            raise OverloadedError(self._queue.retry_s(self._times))

    async def submit(self, rows: Rows, *, device: str = "", timeout_s: float | None = None) -> Rows:
        """Return the output for rows, which may run in one batch with other callers' rows.

        Args:
            rows: the input rows of the shape `(N, ...)`, with N from 1 to `max_batch`.
            device: the device that sent the request. Devices take turns.
            timeout_s: the longest time until the answer; None for no limit.

        Returns:
            The output for these rows, of the shape `(N, ...)`.

        Raises:
            ValueError: there are no rows, or more than `max_batch`.
            OverloadedError: the answer would come too late, or too many requests wait.
            Exception: `run` raised this error for the batch with these rows.
        """
        if not 1 <= len(rows) <= self.max_batch:
            raise ValueError(f"submit 1 to {self.max_batch} rows at once, not {len(rows)}")
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        request = _Request(rows=rows, answer=loop.create_future(), since_s=now_s)
        entry = Waiting(
            item=request,
            rows=len(rows),
            device=device,
            deadline_s=_deadline_s(now_s, timeout_s),
        )
        refused = self._queue.offer(
            entry, self._times, now_s=now_s, free_in_s=self._free_in_s(now_s)
        )
        if refused is not None:
            self.statistics.refused += 1
            self._refuse(refused)
        self._start_runs()
        try:
            return await request.answer
        except asyncio.CancelledError:
            self._queue.remove(entry)
            raise

    def _refuse(self, entry: Waiting[_Request]) -> None:
        if not entry.item.answer.done():
            entry.item.answer.set_exception(OverloadedError(self._queue.retry_s(self._times)))

    def _free_in_s(self, now_s: float) -> float:
        """Return the expected time until another run can begin."""
        if len(self._running) < self._threads:
            return 0.0
        return max(0.0, min(self._running.values()) - now_s)

    def _start_runs(self) -> None:
        loop = asyncio.get_running_loop()
        while len(self._running) < self._threads and self._queue.rows:
            now_s = loop.time()
            taken = self._queue.take(self._times, now_s=now_s)
            self.statistics.late += len(taken.late)
            for entry in taken.late:
                self._refuse(entry)
            if taken.batch:
                batch = [entry.item for entry in taken.batch]
                self.statistics.wait_s += sum(now_s - request.since_s for request in batch)
                rows = [request.rows for request in batch]
                run = loop.run_in_executor(self._executor, self._timed, rows)
                self._running[run] = now_s + self._times.run_s(sum(map(len, rows)))
                run.add_done_callback(partial(self._answer, batch))

    def _answer(self, batch: list[_Request], run: "asyncio.Future[tuple[Rows, float]]") -> None:
        """Answer the requests of a run that has ended, and start the next runs."""
        del self._running[run]
        if (error := run.exception()) is not None:
            self.statistics.failed += len(batch)
            for request in batch:
                if not request.answer.done():
                    request.answer.set_exception(error)
        else:
            self._pass_on(batch, *run.result())
        self._start_runs()

    def _pass_on(self, batch: list[_Request], answers: Rows, run_s: float) -> None:
        """Give each request of a run its own rows of the output."""
        count = len(answers)
        self._times = self._times.after_run(count, run_s)
        self.statistics.runs += 1
        self.statistics.rows += count
        self.statistics.run_s += run_s
        self.statistics.answered += len(batch)
        start = 0
        for request in batch:
            end = start + len(request.rows)
            if not request.answer.done():
                request.answer.set_result(answers[start:end])
            start = end

    def _timed(self, parts: list[Rows]) -> tuple[Rows, float]:
        started_s = time.perf_counter()
        rows = np.concatenate(parts) if len(parts) > 1 else parts[0]
        return self._run(rows), time.perf_counter() - started_s
