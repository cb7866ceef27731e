"""A listener that counts."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from nestling_cloud.progress import Silent

T = TypeVar("T")


class Counted(Silent):
    """Counts the epochs that began, and notes what they were of."""

    def __init__(self) -> None:
        self.epochs = 0
        self.told: list[str] = []

    def track(self, items: Iterable[T], total: int, what: str) -> Iterator[T]:
        self.told.append(what)
        for item in super().track(items, total, what):
            self.epochs += 1
            yield item
