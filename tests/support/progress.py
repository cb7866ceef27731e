"""A progress listener that counts epochs."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from nestling_cloud.progress import SilentProgress

T = TypeVar("T")


class EpochCounter(SilentProgress):
    """Counts the epochs that began, and records what was tracked."""

    def __init__(self) -> None:
        self.epochs = 0
        self.tracked: list[str] = []

    def track(self, items: Iterable[T], total: int, what: str) -> Iterator[T]:
        self.tracked.append(what)
        for item in super().track(items, total, what):
            self.epochs += 1
            yield item
