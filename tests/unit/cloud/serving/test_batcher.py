import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nestling_cloud.serving.batcher import Batcher, OverloadedError, Statistics

Rows = NDArray[np.float32]


class Doubler:
    """Doubles rows, records the sizes of the batches, and waits while `go` is clear."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.go = threading.Event()
        self.go.set()
        self.running = threading.Event()

    def __call__(self, rows: Rows) -> Rows:
        self.sizes.append(len(rows))
        self.running.set()
        assert self.go.wait(10)
        return rows * 2


def rows_of(value: float, count: int = 1) -> Rows:
    return np.full((count, 3), value, np.float32)


@asynccontextmanager
async def busy(doubler: Doubler, batcher: Batcher) -> AsyncIterator[None]:
    """Keep the only thread busy with one row until the end of the block."""
    doubler.go.clear()
    first = asyncio.create_task(batcher.submit(rows_of(0)))
    await asyncio.to_thread(doubler.running.wait, 10)
    yield
    doubler.go.set()
    await first


async def started(*calls: Coroutine[Any, Any, Rows]) -> list[asyncio.Task[Rows]]:
    """Start calls, and let them come as far as the queue."""
    tasks = [asyncio.create_task(call) for call in calls]
    await asyncio.sleep(0)
    return tasks


def test_every_caller_gets_its_own_rows_back() -> None:
    async def scenario() -> list[Rows]:
        async with Batcher(Doubler(), max_batch=8) as batcher:
            return await asyncio.gather(
                *(batcher.submit(rows_of(i, count=1 + i % 3)) for i in range(20))
            )

    answers = asyncio.run(scenario())

    for i, answer in enumerate(answers):
        np.testing.assert_array_equal(answer, rows_of(2 * i, count=1 + i % 3))


def test_requests_that_wait_for_a_run_are_batched_up_to_the_limit() -> None:
    doubler = Doubler()

    async def scenario() -> None:
        async with Batcher(doubler, max_batch=4, threads=1) as batcher:
            async with busy(doubler, batcher):
                rest = await started(*(batcher.submit(rows_of(i)) for i in range(6)))
            await asyncio.gather(*rest)

    asyncio.run(scenario())

    assert doubler.sizes == [1, 4, 2]


def test_idle_model_runs_a_request_at_once() -> None:
    doubler = Doubler()

    async def scenario() -> None:
        async with Batcher(doubler, threads=2) as batcher:
            async with busy(doubler, batcher):
                doubler.running.clear()
                (second,) = await started(batcher.submit(rows_of(1)))
                # The other thread has begun before the first run ends.
                assert await asyncio.to_thread(doubler.running.wait, 10)
            await second

    asyncio.run(scenario())

    assert doubler.sizes == [1, 1]


@pytest.mark.parametrize("count", [0, 5])
def test_request_of_an_invalid_size_is_rejected(count: int) -> None:
    async def scenario() -> None:
        async with Batcher(Doubler(), max_batch=4) as batcher:
            await batcher.submit(rows_of(1, count=count))

    with pytest.raises(ValueError, match=f"submit 1 to 4 rows at once, not {count}"):
        asyncio.run(scenario())


def test_error_reaches_its_callers_and_the_batcher_continues() -> None:
    def fail_on_negative(rows: Rows) -> Rows:
        if (rows < 0).any():
            raise ArithmeticError("negative")
        return rows

    async def scenario() -> Rows:
        async with Batcher(fail_on_negative) as batcher:
            with pytest.raises(ArithmeticError):
                await batcher.submit(rows_of(-1))
            return await batcher.submit(rows_of(1))

    np.testing.assert_array_equal(asyncio.run(scenario()), rows_of(1))


def test_cancelled_request_is_not_run() -> None:
    doubler = Doubler()

    async def scenario() -> None:
        async with Batcher(doubler, threads=1) as batcher:
            async with busy(doubler, batcher):
                (second,) = await started(batcher.submit(rows_of(2)))
                second.cancel()
                await asyncio.sleep(0)
            await batcher.submit(rows_of(3))

    asyncio.run(scenario())

    assert doubler.sizes == [1, 1]


def test_requests_still_waiting_at_the_end_are_refused() -> None:
    doubler = Doubler()

    async def scenario() -> list[asyncio.Task[Rows]]:
        async with Batcher(doubler, threads=1) as batcher:
            doubler.go.clear()
            calls = await started(*(batcher.submit(rows_of(i)) for i in range(2)))
            await asyncio.to_thread(doubler.running.wait, 10)
            doubler.go.set()
        await asyncio.wait(calls)
        return calls

    calls = asyncio.run(scenario())

    np.testing.assert_array_equal(calls[0].result(), rows_of(0))
    assert isinstance(calls[1].exception(), OverloadedError)
    assert doubler.sizes == [1]


def test_rows_of_different_shapes_fail_and_later_requests_are_answered() -> None:
    doubler = Doubler()

    async def ask() -> tuple[list[object], Rows]:
        async with Batcher(doubler, threads=1) as batcher:
            async with busy(doubler, batcher):
                odd = await started(
                    *(batcher.submit(np.zeros((1, width), np.float32)) for width in (2, 3))
                )
            failed = await asyncio.gather(*odd, return_exceptions=True)
            async with asyncio.timeout(10):
                return list(failed), await batcher.submit(np.ones((1, 2), np.float32))

    failed, answered = asyncio.run(ask())

    assert all(isinstance(each, ValueError) for each in failed)
    assert answered.tolist() == [[2.0, 2.0]]


def test_request_that_cannot_be_answered_in_time_is_refused_with_the_time_to_retry() -> None:
    doubler = Doubler()

    async def scenario() -> OverloadedError:
        async with Batcher(doubler, threads=1) as batcher:
            await batcher.submit(rows_of(0))  # from now on, a run is known to take time
            async with busy(doubler, batcher):
                batcher.check(timeout_s=10)
                with pytest.raises(OverloadedError):
                    batcher.check(timeout_s=0)
                with pytest.raises(OverloadedError) as refused:
                    await batcher.submit(rows_of(1), timeout_s=0)
            assert (batcher.statistics.answered, batcher.statistics.refused) == (2, 2)
            return refused.value

    refused = asyncio.run(scenario())

    assert refused.retry_s >= 0.05
    assert doubler.sizes == [1, 1]


def test_idle_model_recovers_from_a_stall() -> None:
    slow = [0.2]

    def run(rows: Rows) -> Rows:
        threading.Event().wait(slow[0])  # nobody sets it
        return rows

    async def scenario() -> None:
        async with Batcher(run, threads=1) as batcher:
            await batcher.submit(rows_of(0))
            slow[0] = 0.0
            # A run is expected to take four times the deadline, but nothing else is to be done.
            for number in range(20):
                await batcher.submit(rows_of(number), timeout_s=0.05)

    asyncio.run(scenario())


def test_request_that_waited_for_too_long_is_not_run() -> None:
    doubler = Doubler()

    async def scenario() -> None:
        async with Batcher(doubler, threads=1) as batcher:
            async with busy(doubler, batcher):
                (late,) = await started(batcher.submit(rows_of(1), timeout_s=0.001))
                await asyncio.to_thread(doubler.go.wait, 0.05)  # nobody sets it: time passes
            with pytest.raises(OverloadedError):
                await late
            assert batcher.statistics.late == 1

    asyncio.run(scenario())

    assert doubler.sizes == [1]


def test_statistics_count_runs_rows_and_failures() -> None:
    def fail_on_negative(rows: Rows) -> Rows:
        if (rows < 0).any():
            raise ArithmeticError("negative")
        return rows

    async def scenario() -> Statistics:
        async with Batcher(fail_on_negative, threads=1) as batcher:
            await batcher.submit(rows_of(1, count=3))
            await batcher.submit(rows_of(2))
            with pytest.raises(ArithmeticError):
                await batcher.submit(rows_of(-1))
            return batcher.statistics

    found = asyncio.run(scenario())

    assert (found.answered, found.failed, found.runs, found.rows) == (2, 1, 2, 4)
    assert found.run_s > 0
    assert found.wait_s >= 0
