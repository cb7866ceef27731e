import asyncio
import threading

import pytest

from nestling_cloud.console.data.live import TimedCache
from nestling_cloud.console.data.time_spans import DEFAULT_SPAN, SPANS, span_named


class Reader:
    def __init__(self) -> None:
        self.reads = 0
        self._lock = threading.Lock()

    def __call__(self) -> int:
        with self._lock:
            self.reads += 1
            return self.reads


def test_all_who_ask_together_get_one_reading() -> None:
    kept, reader = TimedCache[int](), Reader()

    async def ask() -> list[int]:
        return await asyncio.gather(*(kept.get("key", 60.0, reader) for _ in range(20)))

    assert asyncio.run(ask()) == [1] * 20
    assert reader.reads == 1


def test_reading_is_done_again_when_it_is_old_and_for_another_key() -> None:
    kept, reader = TimedCache[int](), Reader()

    async def ask() -> list[int]:
        return [
            await kept.get("a", 0.0, reader),
            await kept.get("a", 0.0, reader),
            await kept.get("b", 60.0, reader),
            await kept.get("b", 60.0, reader),
        ]

    assert asyncio.run(ask()) == [1, 2, 3, 3]


def test_failed_reading_is_not_kept() -> None:
    kept, reader = TimedCache[int](), Reader()

    def fail() -> int:
        raise OSError

    async def ask() -> int:
        with pytest.raises(OSError):  # noqa: PT011 (any)
            await kept.get("a", 60.0, fail)
        return await kept.get("a", 60.0, reader)

    assert asyncio.run(ask()) == 1


def test_one_who_leaves_does_not_take_the_reading_from_the_others() -> None:
    kept, go = TimedCache[int](), threading.Event()

    def read() -> int:
        go.wait()
        return 7

    async def ask() -> int:
        first = asyncio.create_task(kept.get("a", 60.0, read))
        second = asyncio.create_task(kept.get("a", 60.0, read))
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
def test_span_is_the_one_named_or_fits_the_fleets_age(
    name: str, age_ms: int | None, expected: str
) -> None:
    assert span_named(name, age_ms) is SPANS[expected]
