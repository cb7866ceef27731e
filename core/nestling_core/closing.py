"""Holds the base class of context managers that call `close` when their block ends."""

from abc import ABC, abstractmethod
from typing import Self


class Closing(ABC):
    """Base class of objects that must be closed.

    As a context manager, such an object closes itself when the block ends.
    """

    @abstractmethod
    def close(self) -> None:
        """Release the resources that this object holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
