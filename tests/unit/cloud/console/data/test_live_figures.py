import asyncio
import threading

import pytest

from nestling_cloud.console.data.live_figures import TimedCache
from nestling_cloud.console.data.time_spans import DEFAULT_SPAN, SPANS, span_named


class Reader:
    def __init__(self) -> None:
        self.reads = 0
        self._lock = threading.Lock()

    def __call__(self) -> int:
        with self._lock:
            self.reads += 1
            return self.reads


def test_concurrent_requests_share_one_read() -> None:
    cache, reader = TimedCache[int](), Reader()

    async def ask() -> list[int]:
        return await asyncio.gather(*(cache.get("key", 60.0, reader) for _ in range(20)))

    assert asyncio.run(ask()) == [1] * 20
    assert reader.reads == 1


def test_value_is_read_again_when_stale_and_for_another_key() -> None:
    cache, reader = TimedCache[int](), Reader()

    async def ask() -> list[int]:
        return [
            await cache.get("a", 0.0, reader),
            await cache.get("a", 0.0, reader),
            await cache.get("b", 60.0, reader),
            await cache.get("b", 60.0, reader),
        ]

    assert asyncio.run(ask()) == [1, 2, 3, 3]


def test_failed_read_is_not_cached() -> None:
    cache, reader = TimedCache[int](), Reader()

    def fail() -> int:
        raise OSError

    async def ask() -> int:
        with pytest.raises(OSError):  # noqa: PT011 (any)
            await cache.get("a", 60.0, fail)
        return await cache.get("a", 60.0, reader)

    assert asyncio.run(ask()) == 1


def test_cancelled_request_does_not_cancel_the_read_for_others() -> None:
    cache, go = TimedCache[int](), threading.Event()

    def read() -> int:
        go.wait()
        return 7

    async def ask() -> int:
        first = asyncio.create_task(cache.get("a", 60.0, read))
        second = asyncio.create_task(cache.get("a", 60.0, read))
        await asyncio.sleep(0)
        first.cancel()
        go.set()
        return await second

    assert asyncio.run(ask()) == 7


@pytest.mark.parametrize(
    ("name", "age_ms", "expected"),
    [
        ("24h", 1, "24h"),
        ("", 60_000, "5m"),
        ("", 600_000, DEFAULT_SPAN.name),
        ("nonsense", None, DEFAULT_SPAN.name),
    ],
)
def test_span_is_the_named_one_or_fits_the_age_of_the_fleet(
    name: str, age_ms: int | None, expected: str
) -> None:
    assert span_named(name, age_ms) is SPANS[expected]
