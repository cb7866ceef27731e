"""Context managers that end with `close`."""

from abc import ABC, abstractmethod
from typing import Self


class Closing(ABC):
    """Something to close; as a context manager it closes when its block ends."""

    @abstractmethod
    def close(self) -> None:
        """Release what it holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
