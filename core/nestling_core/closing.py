"""Defines a base class for objects that are closed at the end of their `with` block."""

from abc import ABC, abstractmethod
from typing import Self


class Closing(ABC):
    """Base class for objects that must be closed.

    Used as a context manager, such an object closes itself at the end of the block.
    """

    @abstractmethod
    def close(self) -> None:
        """Release this object's resources."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
