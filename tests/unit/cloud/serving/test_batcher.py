import asyncio
import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from nestling_cloud.serving.batcher import Batcher

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
        async with Batcher(doubler, max_batch=4, max_delay_ms=0) as batcher:
            doubler.go.clear()
            first = asyncio.create_task(batcher.submit(rows_of(0)))
            await asyncio.to_thread(doubler.running.wait, 10)
            rest = [asyncio.create_task(batcher.submit(rows_of(i))) for i in range(6)]
            await asyncio.sleep(0)  # lets them queue
            doubler.go.set()
            await asyncio.gather(first, *rest)

    asyncio.run(scenario())

    assert doubler.sizes == [1, 4, 2]


def test_request_that_does_not_fit_starts_the_next_batch() -> None:
    doubler = Doubler()

    async def scenario() -> None:
        async with Batcher(doubler, max_batch=4, max_delay_ms=1000) as batcher:
            requests = [batcher.submit(rows_of(1, count=3)), batcher.submit(rows_of(2, count=4))]
            await asyncio.gather(*requests)

    asyncio.run(scenario())

    assert doubler.sizes == [3, 4]


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
        async with Batcher(doubler, max_delay_ms=0) as batcher:
            doubler.go.clear()
            first = asyncio.create_task(batcher.submit(rows_of(1)))
            await asyncio.to_thread(doubler.running.wait, 10)
            second = asyncio.create_task(batcher.submit(rows_of(2)))
            await asyncio.sleep(0)
            second.cancel()
            doubler.go.set()
            await first
            await batcher.submit(rows_of(3))

    asyncio.run(scenario())

    assert doubler.sizes == [1, 1]


def test_requests_still_waiting_at_the_end_are_cancelled() -> None:
    doubler = Doubler()

    async def scenario() -> asyncio.Task[Rows]:
        async with Batcher(doubler, max_delay_ms=0) as batcher:
            doubler.go.clear()
            waiting = asyncio.create_task(batcher.submit(rows_of(1)))
            await asyncio.to_thread(doubler.running.wait, 10)
            doubler.go.set()
        await asyncio.wait([waiting])
        return waiting

    assert asyncio.run(scenario()).done()


def test_rows_of_different_shapes_fail_and_later_requests_are_answered() -> None:
    async def ask() -> tuple[list[object], NDArray[np.float32]]:
        async with Batcher(lambda rows: rows, max_delay_ms=50.0) as batcher:
            odd = [batcher.submit(np.zeros((1, width), np.float32)) for width in (2, 3)]
            failed = await asyncio.gather(*odd, return_exceptions=True)
            async with asyncio.timeout(10):
                return list(failed), await batcher.submit(np.ones((1, 2), np.float32))

    failed, answered = asyncio.run(ask())

    assert all(isinstance(each, ValueError) for each in failed)
    assert answered.tolist() == [[1.0, 1.0]]
